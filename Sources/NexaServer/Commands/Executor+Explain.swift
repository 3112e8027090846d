/// EXPLAIN: a QUERY that is carried out to its end and answered by what it cost instead of what it found.

import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    func explain(_ call: Call, _ session: Session) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        let spec = try querySpec(call, session)
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' field") else {
            let names = requestedNames(session)
            throw Catalog.noSuchCollection(names.collection, database: names.database)
        }
        let cursor = try worker.makeQuery(collection, spec)
        return .work(LongWork(.explain(cursor, collection: collection, begin: MonotonicTime.nanoseconds())))
    }

    func answerExplain(
        _ cursor: QueryCursor, _ collection: Collection, begin: UInt64, _ call: Call, _ session: Session, _ output: OutputBytes
    ) {
        let microseconds = (MonotonicTime.nanoseconds() &- begin) / 1000
        let mark = self.begin(.success, call, lsn: cursor.lsn, output)
        MessagePackValue.map([
            .init("database", .string(collection.database)),
            .init("collection", .string(collection.name)),
            .init("plan", .map(cursor.plan.entries)),
            .init("documents_examined", .int(Int64(cursor.scannedCount))),
            .init("documents_matched", .int(Int64(cursor.matchedCount))),
            .init("documents_returned", .int(Int64(cursor.returnedCount))),
            .init("milliseconds", .double(Double(microseconds) / 1000)),
        ]).encode(into: output)
        end(mark, session, output)
    }
}

extension QueryPlan {
    fileprivate var entries: [MessagePackValue.Entry] {
        func text(_ key: [UInt8]) -> MessagePackValue { .string(String(decoding: key, as: UTF8.self)) }
        var entries: [MessagePackValue.Entry]
        switch access {
        case .nothing: entries = [.init("access", "nothing")]
        case .keys(let count): entries = [.init("access", "keys"), .init("keys", .int(Int64(count)))]
        case .range(let lower, let upper):
            entries = [.init("access", "key range")]
            if let lower { entries.append(.init("from", text(lower))) }
            if let upper { entries.append(.init("below", text(upper))) }
        case .collection: entries = [.init("access", "collection")]
        }
        return entries + [.init("filter", .bool(isFiltered)), .init("sort", .string(order.rawValue))]
    }
}
