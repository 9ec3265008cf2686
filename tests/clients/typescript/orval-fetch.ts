// How the functions that orval makes send their requests: to which server, as whom.

export const server = { baseUrl: "", token: "" };

export async function send<Answer>(path: string, options: RequestInit): Promise<Answer> {
  const headers = new Headers(options.headers);
  if (server.token) headers.set("Authorization", `Bearer ${server.token}`);
  const answer = await fetch(server.baseUrl + path, { ...options, headers });
  const data: unknown = answer.status === 204 ? undefined : await answer.json();
  return { status: answer.status, data, headers: answer.headers } as Answer;
}
