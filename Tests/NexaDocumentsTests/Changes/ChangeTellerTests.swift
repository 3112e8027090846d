import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// What is told of the records of a log: no file, no socket, one record after the other.
struct ChangeTellerTests {
    /// An event as the wire shows it, without what differs from run to run.
    struct Told: Equatable, CustomStringConvertible {
        var kind: String
        var place: String
        var key: String?
        var index: UInt32

        var description: String { "\(kind) \(place) \(key ?? "-") @\(index == ChangePosition.wholeRecord ? "end" : "\(index)")" }
    }

    final class Listener {
        let test: TestStore
        var teller: ChangeTeller
        var told: [Told] = []
        var events: [MessagePackValue] = []
        var positions: [ChangePosition] = []

        init(_ test: TestStore, _ filter: ChangeFilter = ChangeFilter(), from position: ChangePosition? = nil) {
            self.test = test
            let start = ChangePosition(LogPosition(epoch: 0, lsn: 0))
            teller = ChangeTeller(filter, from: position ?? start, names: CollectionNames(test.store))
        }

        /// Reads the log to its end, or until `countMax` changes were told.
        @discardableResult
        func read(countMax: Int = .max) throws -> ChangeTeller.Progress {
            try test.engine.waitDurable(test.engine.reservedLSN)
            let expander = PayloadExpander()
            let tail = test.engine.tail(from: teller.nextLSN)
            var last = ChangeTeller.Progress.done
            while last == .done, tail.nextLSN <= test.engine.durableLSN {
                _ = try tail.read(upTo: test.engine.durableLSN, byteCountMax: 1) { record throws(StorageError) in
                    let isBatch = record.header.type == .batch || record.header.type == .ddl
                    let payload = isBatch ? expander.expand(record.stored, record.header)! : Bytes(start: nil, count: 0)
                    let chain = tail.chain!
                    last = try teller.tell(
                        ChangeRecord(
                            position: LogPosition(epoch: record.header.epoch, lsn: record.header.lsn),
                            isCatalog: record.header.type == .ddl, chainInFront: chain,
                            chainBehind: LogChain.advanced(chain, by: record.header.recordHash), payload: payload),
                        searches: true
                    ) { change, position in
                        take(change, position)
                        return told.count < countMax
                    }
                }
            }
            return last
        }

        private func take(_ change: Change, _ position: ChangePosition) {
            let output = OutputBytes()
            change.append(to: output, subscription: 1, shape: [], told: position, now: 0)
            let event = try! MessagePackValue(decoding: output.bytes)
            events.append(event)
            positions.append(position)
            told.append(
                Told(
                    kind: event["operationType"]!.stringValue!,
                    place: event["ns"]!["db"]!.stringValue! + "." + (event["ns"]!["coll"]?.stringValue ?? ""),
                    key: event["documentKey"]?["_id"]?.stringValue, index: position.index))
        }
    }

    typealias Bytes = UnsafeRawBufferPointer

    @Test func insertsUpdatesAndDeletesInOrder() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k", "a": 1, "b": 2], in: things)
        _ = try test.update("k", ["b": 3, "c": 4], in: things)
        _ = try test.delete("k", in: things)
        let listener = Listener(test)
        try listener.read()
        let end = ChangePosition.wholeRecord
        #expect(
            listener.told == [
                Told(kind: "insert", place: "default.things", key: "k", index: end),
                Told(kind: "update", place: "default.things", key: "k", index: end),
                Told(kind: "delete", place: "default.things", key: "k", index: end),
            ])
        #expect(listener.events[1]["updateDescription"] == ["updatedFields": ["b": 3, "c": 4]])
        #expect(listener.events[1]["fullDocument"]?.withoutTimestamps == ["_id": "k", "a": 1, "b": 3, "c": 4])
        #expect(listener.events.allSatisfy { $0["timestamp"] == .double(Double(TestStore.startOfTime) / 1e6) })
        #expect(listener.events[2]["fullDocument"] == nil)
    }

    @Test func anUpdateInTheMicrosecondOfItsInsertIsAnUpdate() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k", "a": 1], in: things)
        _ = try test.update("k", ["a": 2], in: things)
        _ = try test.delete("k", in: things)
        try test.create(["_id": "k", "a": 3], in: things)
        _ = try test.update("new", ["a": 1], in: things) { $0.upserts = true }
        let listener = Listener(test)
        try listener.read()
        #expect(listener.told.map(\.kind) == ["insert", "update", "delete", "insert", "insert"])
    }

    @Test func manyFieldsAreNamedExactly() throws {
        let test = try TestStore()
        let things = try test.collection()
        let fields = (0..<40).map { MessagePackValue.Entry("f\($0)", .int(Int64($0))) }
        try test.create(.map([.init("_id", "k")] + fields), in: things)
        let updates = [0, 7, 8, 31, 39].map { MessagePackValue.Entry("f\($0)", .int(-1)) } + [.init("g", 1)]
        _ = try test.update("k", .map(updates), in: things)
        let listener = Listener(test)
        try listener.read()
        #expect(listener.events[1]["updateDescription"]?["updatedFields"] == .map(updates))
    }

    @Test func goesOnWithinARecord() throws {
        let test = try TestStore()
        let things = try test.collection()
        let batch = (0..<10).map { MessagePackValue.map([.init("_id", .string("d\($0)"))]) }
        _ = try test.batch(documents: batch, in: things)
        let first = Listener(test)
        #expect(try first.read(countMax: 4) == .paused)
        #expect(first.told.map(\.index) == [1, 2, 3, 4])
        let second = Listener(test, from: first.positions.last)
        #expect(try second.read() == .done)
        #expect(second.told.map(\.key) == (4..<10).map { "d\($0)" })
        #expect(second.told.last?.index == ChangePosition.wholeRecord)
        #expect(second.teller.nextLSN == test.engine.durableLSN + 1)
    }

    @Test func filtersSelect() throws {
        let test = try TestStore()
        for database in ["default", "other"] {
            for name in ["one", "two"] {
                let collection = try test.collection(name, database: database)
                try test.create(["_id": "k"], in: collection)
                _ = try test.delete("k", in: collection)
            }
        }
        func kinds(_ filter: ChangeFilter) throws -> [String] {
            let listener = Listener(test, filter)
            try listener.read()
            return listener.told.map { "\($0.kind) \($0.place)" }
        }
        #expect(try kinds(ChangeFilter()).count == 8)
        #expect(try kinds(ChangeFilter(database: "other", operations: .insert)) == ["insert other.one", "insert other.two"])
        #expect(try kinds(ChangeFilter(collection: "two", operations: .delete)) == ["delete default.two", "delete other.two"])
        #expect(try kinds(ChangeFilter(database: "default", collection: "one")) == ["insert default.one", "delete default.one"])
        #expect(try kinds(ChangeFilter(database: "nowhere")).isEmpty)
    }

    @Test func whatWasDroppedKeepsItsNameOverARestart() throws {
        let test = try TestStore()
        let things = try test.collection("things", database: "doomed")
        try test.create(["_id": "k"], in: things)
        _ = try test.store.catalog.dropDatabase("doomed")
        let again = try test.collection("things", database: "doomed")
        try test.create(["_id": "k2"], in: again)
        let expected = [
            "insert doomed.things", "dropCollection doomed.things", "dropDatabase doomed.", "insert doomed.things",
        ]
        let before = Listener(test)
        try before.read()
        #expect(before.told.map { "\($0.kind) \($0.place)" } == expected)
        let after = Listener(try test.reopened())
        try after.read()
        #expect(after.told == before.told)
        #expect(after.events == before.events)
    }

    @Test func aPositionOfAnotherHistoryIsFoundOut() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k"], in: things)
        try test.create(["_id": "l"], in: things)
        let listener = Listener(test)
        try listener.read(countMax: 1)
        var position = try #require(listener.positions.last)
        #expect(try Listener(test, from: position).read() == .done)
        position.chain ^= 1
        let stranger = Listener(test, from: position)
        #expect(try stranger.read() == .otherHistory)
        #expect(stranger.told.isEmpty)
    }

    @Test func recordsOfTheNodeItselfTellNothing() throws {
        let test = try TestStore()
        _ = try test.collection("a")
        _ = try test.store.catalog.createDatabase("b")
        let listener = Listener(test)
        try listener.read()
        #expect(listener.told.isEmpty)
        #expect(listener.teller.nextLSN == test.engine.durableLSN + 1)
    }
}
