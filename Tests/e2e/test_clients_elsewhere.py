"""Existing clients that are no Python package: what they send, by hand."""
from rig import wire


# What the other clients in the field send (the repository's own client, YCSB's, the Rust shell)


def test_handshake_tells_what_the_strictest_client_needs(node):
    with node.wire() as c:
        told = c.connect(username="root", password="nexadb123")
        assert told["status"] == "connected" and told["authenticated"] is True
        assert told["max_frame"] == 16 << 20 and isinstance(told["lsn"], int)
        for field in ("server", "version", "username", "role", "node_id", "role_in_cluster", "epoch", "dialect", "features"):
            assert field in told, field
        assert c.ask(wire.DISCONNECT, {}).type == wire.SUCCESS
        assert c.at_end()


def test_field_names_of_other_clients_are_understood(node, name):
    with node.wire() as c:
        c.connect(username="root", password="x")
        key = c.ask(wire.CREATE, {"collection": name, "data": {"a": 1}, "database": None}).value["document_id"]
        assert c.ask(wire.UPDATE, {"collection": name, "document_id": key, "data": {"a": 2}}).type == wire.SUCCESS
        assert c.ask(wire.READ, {"collection": name, "document_id": key}).value["document"]["a"] == 2
        assert c.ask(wire.QUERY, {"collection": name, "query": {"a": 2}, "limit": 5}).value["count"] == 1
        assert c.ask(wire.QUERY, {"collection": name, "filter": {"a": 1}, "limit": 5}).value["count"] == 0
        assert c.ask(wire.DELETE, {"collection": name, "document_id": key}).type == wire.SUCCESS
        missing = c.ask(wire.READ, {"collection": name, "key": key})
        assert missing.type == wire.NOT_FOUND and missing.value["error"] == "Not found"


def test_databases_by_the_older_messages(node, name):
    with node.wire() as c:
        c.connect(username="root", password="x")
        assert "default" in c.ask(wire.LIST_COLLECTIONS, {"database": True}).value["databases"]
        assert c.ask(wire.CREATE, {"create_database": True, "database": "older"}).value["database"] == "older"
        c.ask(wire.CREATE, {"collection": name, "data": {"a": 1}, "database": "older"})
        told = c.ask(wire.COLLECTION_STATS, {"database": "older", "get_database_stats": True}).value
        assert told["collections_count"] == 1 and told["documents_count"] == 1 and "storage_bytes" in told
        assert c.ask(wire.DROP_COLLECTION, {"database": "older", "drop_database": True}).value["success"] is True
        assert "older" not in c.ask(wire.LIST_DATABASES, {}).value["databases"]


def test_limit_zero_counts(node, name):
    with node.wire() as c:
        c.connect(username="root", password="x")
        c.ask(wire.BATCH_WRITE, {"collection": name, "documents": [{"n": n} for n in range(12)]})
        assert c.ask(wire.QUERY, {"collection": name, "filters": {"n": {"$lt": 9}}, "limit": 0}).value["count"] == 9
