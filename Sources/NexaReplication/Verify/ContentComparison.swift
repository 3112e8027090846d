// What several nodes said of themselves at one LSN, held against the first of them. Pure.

import NexaStorage

/// The answers of several nodes to VERIFY.
package struct ContentComparison: Sendable {
    /// One node's answer.
    package struct Report: Sendable {
        package var node: String
        package var epoch: Epoch = 0
        package var chain: UInt64?
        package private(set) var collections: [Identity: ContentHash] = [:]

        package init(node: String) { self.node = node }

        package mutating func add(_ page: [VerifyReply.Collection]) {
            for part in page { collections[Identity(id: part.id, database: part.database, name: part.name)] = part.hash }
        }
    }

    /// A collection is the same on two nodes when its id and both its names are.
    package struct Identity: Hashable, Comparable, Sendable {
        package var id: UInt64
        package var database: String
        package var name: String

        /// As people write it; the catalog is in no database.
        package var text: String { database.isEmpty ? "(\(name))" : "\(database).\(name)" }

        package static func < (left: Identity, right: Identity) -> Bool {
            (left.database, left.name, left.id) < (right.database, right.name, right.id)
        }
    }

    /// One collection on all nodes, in the order of the reports; nil where a node has nothing of it.
    package struct Row: Sendable {
        package var identity: Identity
        package var hashes: [ContentHash?]
        package var isEqual: Bool { hashes.allSatisfy { $0 == hashes[0] } }
    }

    package let reports: [Report]
    package let rows: [Row]

    package init(_ reports: [Report]) {
        self.reports = reports
        let identities = Set(reports.flatMap(\.collections.keys)).sorted()
        rows = identities.map { identity in Row(identity: identity, hashes: reports.map { $0.collections[identity] }) }
    }

    package var differences: [Row] { rows.filter { !$0.isEqual } }

    /// The nodes whose log is another one at this LSN: of another epoch, or with another chain where both are known.
    package var otherLogs: [String] {
        guard let first = reports.first else { return [] }
        return reports.dropFirst().filter { report in
            report.epoch != first.epoch || (report.chain != nil && first.chain != nil && report.chain != first.chain)
        }.map(\.node)
    }

    package var isEqual: Bool { differences.isEmpty && otherLogs.isEmpty }
}
