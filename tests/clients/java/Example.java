import java.io.File;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import strata.ApiClient;
import strata.ApiException;
import strata.api.AccessApi;
import strata.api.ClassificationApi;
import strata.api.CustomersApi;
import strata.api.CustomersApi.APIListClassCustomersRequest;
import strata.api.CustomersApi.APIListCustomersRequest;
import strata.api.ImportsApi;
import strata.api.ImportsApi.APIStartImportRequest;
import strata.api.PurchasesApi;
import strata.model.ConditionOut;
import strata.model.CustomerOut;
import strata.model.CustomerPage;
import strata.model.ImportErrorOut;
import strata.model.ImportOut;
import strata.model.ProblemDetails;
import strata.model.PurchaseIn;
import strata.model.RecalculationOut;
import strata.model.Sort;

/** What a program in Java does with the client that openapi-generator makes of the API document. */
public final class Example {
  private static final String COLUMNS =
      "{\"customer_ref\": \"Customer\", \"order_ref\": \"Invoice\", \"occurred_at\": \"Date\","
          + " \"amount\": \"Quantity * Price\"}";

  private final ApiClient client;
  private final AccessApi access;
  private final ClassificationApi classification;
  private final CustomersApi customers;
  private final ImportsApi imports;
  private final PurchasesApi purchases;

  public static void main(String[] given) throws Exception {
    new Example(loggedIn(given[0], "admin", given[1])).run(new File(given[2]));
  }

  private static ApiClient loggedIn(String baseUri, String username, String password) throws ApiException {
    var client = new ApiClient();
    client.updateBaseUri(baseUri);
    String token = new AccessApi(client).issueToken(username, password, null, null, null, null).getAccessToken();
    return client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
  }

  private Example(ApiClient client) {
    this.client = client;
    access = new AccessApi(client);
    classification = new ClassificationApi(client);
    customers = new CustomersApi(client);
    imports = new ImportsApi(client);
    purchases = new PurchasesApi(client);
  }

  private void run(File file) throws Exception {
    System.out.printf("logged in as %s%n", access.readMe().getUsername());

    ImportOut done = finishedImport(file);
    System.out.printf(
        "import %s: %d accepted, %d rejected%n", done.getStatus(), done.getAccepted(), done.getRejected());
    for (ImportErrorOut error : imports.listImportErrors(done.getId(), null, null).getItems()) {
      System.out.printf("line %d: %s: %s%n", error.getLine(), error.getField(), error.getReason());
    }

    var members = APIListClassCustomersRequest.newBuilder().key("abc").name("A").build();
    List<CustomerOut> best = customers.listClassCustomers(members).getItems();
    System.out.printf("class A: %s%n", best.stream().map(CustomerOut::getName).collect(Collectors.joining(", ")));

    CustomerOut first = best.get(0);
    for (ConditionOut each :
        classification.explainClass(first.getId(), "abc", null, null, null).getConditions()) {
      System.out.printf(
          "%s: %s %s %s %s: %s%n",
          each.getPropertyClass(),
          each.getMetric(),
          each.getValue(),
          each.getOp(),
          each.getThreshold().getActualInstance(),
          each.getMet() ? "yes" : "no");
    }

    forEveryCustomer(each -> System.out.printf("%s: %s%n", each.getName(), each.getClasses().get("abc")));

    var purchase = new PurchaseIn().occurredAt(OffsetDateTime.parse("2026-03-03T00:00:00Z")).amount(new BigDecimal("12.345678"));
    try {
      purchases.recordPurchase(first.getId(), purchase, "SO-8");
    } catch (ApiException refused) {
      System.out.println(sentence(refused));
    }
  }

  /** Imports a file of purchases; waits for it, and for the classes that follow. */
  private ImportOut finishedImport(File file) throws Exception {
    var request =
        APIStartImportRequest.newBuilder()
            ._file(file)
            .kind("purchases")
            .mapping(COLUMNS)
            .createCustomers(true)
            .currency("CNY")
            .idempotencyKey("january-to-march")
            .build();
    ImportOut found = imports.startImport(request);
    System.out.printf("import %s%n", found.getStatus());
    while (found.getFinishedAt() == null) {
      Thread.sleep(200);
      found = imports.getImport(found.getId());
    }
    while (newestRecalculation().getFinishedAt() == null) {
      Thread.sleep(200);
    }
    return found;
  }

  private RecalculationOut newestRecalculation() throws ApiException {
    return classification.listRecalculations(1, null).getItems().get(0);
  }

  /** All customers by name, page by page. */
  private void forEveryCustomer(Consumer<CustomerOut> action) throws ApiException {
    var request = APIListCustomersRequest.newBuilder().sort(Sort.NAME).limit(2);
    CustomerPage page;
    do {
      page = customers.listCustomers(request.build());
      System.out.printf("page of %d%n", page.getItems().size());
      page.getItems().forEach(action);
      request.cursor(page.getNextCursor());
    } while (page.getNextCursor() != null);
  }

  /** A problem: what is wrong, and with which field. */
  private String sentence(ApiException refused) throws Exception {
    ProblemDetails problem = client.getObjectMapper().readValue(refused.getResponseBody(), ProblemDetails.class);
    String fields =
        problem.getErrors().stream()
            .map(each -> ": " + each.getPointer() + ": " + each.getMessage())
            .collect(Collectors.joining());
    return problem.getStatus() + " " + problem.getTitle() + fields;
  }
}
