"""Notes: written, corrected and deleted by whoever may; their words are in no audit row."""

from typing import Any

import httpx

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers


async def written(client: httpx.AsyncClient, path: str, text: str = "canary: likes green tea\nand oolong") -> Any:
    answer = await client.post(path, json={"text": text})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_note_is_written_read_corrected_and_deleted(admin: httpx.AsyncClient) -> None:
    path = f"/v1/customers/{(await create(admin))['id']}/notes"
    first, second = await written(admin, path), await written(admin, path, "another")
    me = f"user:{(await admin.get('/v1/me')).json()['id']}"
    assert (first["version"], first["created_by"], first["updated_by"]) == (1, me, me)
    assert (await admin.get(path)).json() == {"items": [second, first], "next_cursor": None}
    one = f"{path}/{first['id']}"
    assert (await admin.get(one)).json() == first
    corrected = await admin.patch(one, json={"text": "likes black tea"}, headers={"If-Match": '"1"'})
    assert (corrected.status_code, corrected.headers["etag"]) == (200, '"2"')
    assert (corrected.json()["text"], corrected.json()["version"]) == ("likes black tea", 2)
    assert (await admin.patch(one, json={"text": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(one, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(one, headers={"If-Match": '"2"'})).status_code == 204
    assert [(await admin.request(method, one)).status_code for method in ("GET", "DELETE")] == [404, 404]
    assert (await admin.get(path)).json()["items"] == [second]


async def test_the_same_words_are_no_correction(admin: httpx.AsyncClient) -> None:
    path = f"/v1/customers/{(await create(admin))['id']}/notes"
    note = await written(admin, path, "the same")
    assert (await admin.patch(f"{path}/{note['id']}", json={"text": " the same "})).json() == note


async def test_a_note_without_words_is_refused(admin: httpx.AsyncClient) -> None:
    path = f"/v1/customers/{(await create(admin))['id']}/notes"
    for wrong in ({"text": " "}, {"text": "x" * 4001}, {"text": "a\u0000"}, {"text": None}):
        assert pointers(await admin.post(path, json=wrong)) == ["/body/text"]
    assert (await admin.get(path)).json()["items"] == []


async def test_a_note_is_of_its_customer_only(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    seller = await make_user({"customers:read": "own", "customers:write": "own", "notes:read": "own"})
    mine, foreign = await create(seller), await create(admin)
    note = await written(admin, f"/v1/customers/{foreign['id']}/notes")
    moved = f"/v1/customers/{mine['id']}/notes/{note['id']}"
    assert (await seller.get(moved)).status_code == 404
    assert (await admin.patch(moved, json={"text": "x"})).status_code == 404
    assert (await seller.post(f"/v1/customers/{mine['id']}/notes", json={"text": "x"})).status_code == 403


async def test_notes_are_audited_without_their_words_and_go_with_their_customer(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await create(admin)
    path = f"/v1/customers/{made['id']}/notes"
    note = await written(admin, path)
    await admin.patch(f"{path}/{note['id']}", json={"text": "canary, corrected"})
    await admin.delete(f"{path}/{note['id']}")
    await written(admin, path)
    assert (await admin.delete(f"/v1/customers/{made['id']}")).status_code == 204
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM audit_event WHERE resource = 'note' ORDER BY id")
        assert await connection.fetchval("SELECT count(*) FROM customer_note") == 0
    assert [row["action"] for row in rows] == ["note.added", "note.corrected", "note.deleted", "note.added"]
    assert "canary" not in str([dict(row) for row in rows])
