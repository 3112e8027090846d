"""Existing clients: connections and single documents, by every method of both."""
import datetime
import math
import socket
import time

import msgpack
import pytest

from rig.existing_clients import BOTH, One, Three, covers, db, moment, stored, things  # noqa: F401


# Connections


@covers(Three.__init__, One.__init__, Three.connect, One.connect, Three.disconnect, One.disconnect, Three.__repr__, One.__repr__)
@pytest.mark.parametrize("client", [Three, One])
def test_connects_and_disconnects_by_hand(node, client):
    db = client(host="127.0.0.1", port=node.port)
    assert "disconnected" in repr(db)
    with pytest.raises(ConnectionError):
        db.ping()
    db.connect()
    db.connect()
    assert "'connected'" in repr(db)
    assert db.ping()["status"] == "ok"
    db.disconnect()
    db.disconnect()
    with pytest.raises(ConnectionError):
        db.ping()
    db.connect()
    assert db.ping()["status"] == "ok"
    db.disconnect()


@covers(Three.__enter__, One.__enter__, Three.__exit__, One.__exit__)
@pytest.mark.parametrize("client", [Three, One])
def test_context_manager_opens_and_closes(node, client):
    with client(host="127.0.0.1", port=node.port) as db:
        assert db.connected
    assert not db.connected and db.socket is None


@pytest.mark.parametrize("client", [Three, One])
def test_refused_connection_is_a_connection_error(client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionError):
            client(host="127.0.0.1", port=unused.getsockname()[1], timeout=2).connect()


@pytest.mark.parametrize("client", [Three, One])
def test_reconnects_to_a_restarted_node_and_finds_its_document(make_node, client):
    node = make_node().start()
    db = client(host="127.0.0.1", port=node.port, timeout=10)
    db.connect()
    key = db.create("things", {"kept": True})["document_id"]
    assert node.stop() == 0
    with pytest.raises((ConnectionError, OSError)):
        db.ping()
    db.disconnect()
    node.start()
    db.port = node.port
    db.connect()
    assert db.get("things", key)["kept"] is True
    db.disconnect()


@covers(Three.ping, One.ping)
@BOTH
def test_ping_tells_the_time(db):
    pong = db.ping()
    assert pong["status"] == "ok"
    assert abs(pong["timestamp"] - time.time()) < 60


# Documents


@covers(Three.create, One.create, Three.get, One.get)
@BOTH
def test_created_document_comes_back_equal(db, things):
    data = {"name": "Zoë 🛫", "age": 36, "tags": ["a", "b"], "nested": {"deep": {"list": [1, [2, None]]}}, "pi": math.pi,
            "big": 2**63 + 5, "small": -2**63, "yes": True, "nothing": None, "empty": {}}
    made = db.create(things, data)
    assert made["collection"] == things and made["database"] == "default"
    assert made["message"] == "Document inserted"
    document = db.get(things, made["document_id"])
    assert stored(document) == data
    assert [*document][:3] == ["_id", "_created_at", "_updated_at"], "the node's fields come first"
    assert [*stored(document)] == [*data], "the order of the fields is kept"
    assert document["_id"] == made["document_id"]
    assert abs((moment(document["_created_at"]) - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 60


@BOTH
def test_binary_and_extension_values_are_opaque(db, things):
    data = {"bytes": bytes(range(256)), "ext": msgpack.ExtType(13, b"\xcb" + bytes(8)), "time": msgpack.Timestamp(1700000000, 5)}
    document = db.get(things, db.create(things, data)["document_id"])
    assert stored(document) == data


@BOTH
def test_floats_keep_their_bits(db, things):
    data = {"inf": math.inf, "tiny": 5e-324, "minus_zero": -0.0, "nan": math.nan}
    document = db.get(things, db.create(things, data)["document_id"])
    assert document["inf"] == math.inf and document["tiny"] == 5e-324
    assert math.copysign(1, document["minus_zero"]) == -1 and math.isnan(document["nan"])


@BOTH
def test_callers_id_is_the_key(db, things):
    for key in ("plain", "ключ 🔑 キー", "with/slash and space", "k" * 1024):
        assert db.create(things, {"_id": key, "n": 1})["document_id"] == key
        assert stored(db.get(things, key)) == {"n": 1}


@BOTH
def test_field_named_id_is_an_ordinary_field_of_the_envelope(db, things):
    made = db.create(things, {"_id": "k", "id": 77})
    assert made["document_id"] == "k"
    assert stored(db.get(things, "k")) == {"id": 77}


@BOTH
def test_same_id_twice_is_refused_and_changes_nothing(db, things):
    db.create(things, {"_id": "once", "n": 1})
    with pytest.raises(Exception, match="already exists") as refused:
        db.create(things, {"_id": "once", "n": 2})
    assert "Not found" not in str(refused.value)
    assert db.get(things, "once")["n"] == 1


@BOTH
def test_empty_document_is_a_document(db, things):
    assert stored(db.get(things, db.create(things, {})["document_id"])) == {}


@BOTH
def test_made_ids_are_distinct_and_ascending_in_time(db, things):
    ids = [db.create(things, {"n": n})["document_id"] for n in range(50)]
    assert len(set(ids)) == 50 and ids == sorted(ids)


@BOTH
def test_missing_document_is_none(db, things):
    db.create(things, {"n": 1})
    assert db.get(things, "nobody") is None
    assert db.get(f"{things}_never_written", "nobody") is None


@covers(Three.update, One.update)
@BOTH
def test_update_merges_top_level_fields(db, things):
    key = db.create(things, {"a": 1, "nested": {"x": 1, "y": 2}, "gone": "no"})["document_id"]
    before = db.get(things, key)
    answer = db.update(things, key, {"a": 2, "nested": {"x": 9}, "gone": None, "new": [1]})
    assert answer["document_id"] == key and answer["message"] == "Document updated"
    after = db.get(things, key)
    assert stored(after) == {"a": 2, "nested": {"x": 9}, "gone": None, "new": [1]}
    assert after["_created_at"] == before["_created_at"]
    assert moment(after["_updated_at"]) >= moment(before["_updated_at"])
    assert after["_id"] == key


@covers(Three.delete, One.delete)
@BOTH
def test_delete_removes_once(db, things):
    key = db.create(things, {"a": 1})["document_id"]
    answer = db.delete(things, key)
    assert answer["document_id"] == key and answer["message"] == "Document deleted"
    assert db.get(things, key) is None
    with pytest.raises(Exception, match="Not found"):
        db.delete(things, key)
    with pytest.raises(Exception, match="Not found"):
        db.update(things, key, {"a": 2})


@covers(Three.insert)
def test_insert_returns_the_id(db, things):
    key = db.insert(things, {"n": 1})
    assert isinstance(key, str) and db.get(things, key)["n"] == 1


@BOTH
@pytest.mark.parametrize("bad", ["", "a/b", "../../etc", ".", "with space", "9lives", "ünï", "x" * 121, "nul\0"])
def test_bad_collection_names_are_refused_clearly(db, bad):
    with pytest.raises(Exception) as refused:
        db.create(bad, {"n": 1})
    assert not isinstance(refused.value, (ConnectionError, ValueError)), refused.value
    assert len(str(refused.value)) > 10 and "Not found" not in str(refused.value)
    assert db.ping()["status"] == "ok", "the connection stays usable"


@BOTH
def test_wrongly_typed_requests_are_refused_clearly(db, things):
    for call in (lambda: db.create(things, [1, 2]), lambda: db.create(things, None), lambda: db.update(things, "k", "text"),
                 lambda: db.batch_write(things, {"not": "a list"}), lambda: db.batch_write(things, [1]), lambda: db.get(things, "")):
        with pytest.raises(Exception) as refused:
            call()
        assert not isinstance(refused.value, (ConnectionError, OSError)), refused.value
        assert "Not found" not in str(refused.value)
    assert db.ping()["status"] == "ok"


@BOTH
def test_ten_megabyte_document_survives(db, things):
    data = {"text": "é" * 5_000_000}
    assert stored(db.get(things, db.create(things, data)["document_id"])) == data
