"""Documents, queries and errors with the blocking client."""

from nexadb import ConflictError, NexaClient, ValidationError


def main() -> None:
    with NexaClient("nexadb://localhost") as db:
        books = db.collection("example_books")
        books.insert_many(
            [
                {"_id": "moby", "title": "Moby-Dick", "year": 1851, "tags": ["sea", "whale"]},
                {"_id": "emma", "title": "Emma", "year": 1815, "tags": ["love"]},
                {"_id": "ulysses", "title": "Ulysses", "year": 1922, "tags": ["sea", "dublin"]},
            ]
        )
        for book in books.find({"tags": "sea", "year": {"$lt": 1900}}, projection=["title"]):
            print(book["title"])

        # Change a document only if nobody else has in the meantime.
        emma = db.get("example_books", "emma", rev=True)
        assert emma is not None
        books.update("emma", {"read": True}, if_match=emma["_rev"])
        try:
            books.update("emma", {"read": False}, if_match=emma["_rev"])
        except ConflictError as error:
            print("someone was faster: it is at revision", error.revision)

        try:
            books.count({"year": {"$near": 1900}})
        except ValidationError as error:
            print("a typo is an error, and never everything or nothing:", error.operator, "at", error.path)
        books.drop()


if __name__ == "__main__":
    main()
