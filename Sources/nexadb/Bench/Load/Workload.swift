/// One kind of request that the load generator times.
enum LoadOperation: UInt8, CaseIterable {
    case create, get, update, query, scan, batch, ping
    /// The two halves of a read-modify-write: the update leaves when the read is answered.
    case modifyRead, modifyWrite

    var isWrite: Bool {
        switch self {
        case .create, .update, .batch, .modifyWrite: true
        case .get, .query, .scan, .ping, .modifyRead: false
        }
    }

    /// The name in reports; both halves of a read-modify-write are reported as one operation.
    var name: String {
        switch self {
        case .create: "create"
        case .get: "get"
        case .update: "update"
        case .query: "query"
        case .scan: "scan"
        case .batch: "batch"
        case .ping: "ping"
        case .modifyRead, .modifyWrite: "read-modify-write"
        }
    }
}

/// How an operation picks its record.
enum KeyChoice { case uniform, zipfian, latest }

/// A mix of operations: what the load generator does with which probability, and how it picks keys.
struct Workload {
    let name: String
    /// Operations with the upper ends of their probability intervals.
    let parts: [(operation: LoadOperation, upTo: Double)]
    var keyChoice: KeyChoice

    private init(_ name: String, _ shares: [(LoadOperation, Double)], _ keyChoice: KeyChoice = .uniform) {
        self.name = name
        var sum = 0.0
        parts = shares.map { operation, share in
            sum += share
            return (operation, sum)
        }
        self.keyChoice = keyChoice
    }

    /// All mixes by name; the YCSB core workloads as in Cooper et al. 2010, with 1 to 100 documents a scan in E.
    static let all: [Workload] = [
        Workload("get", [(.get, 1)]),
        Workload("create", [(.create, 1)]),
        Workload("update", [(.update, 1)]),
        Workload("mixed", [(.get, 0.8), (.update, 0.1), (.create, 0.1)]),
        Workload("query", [(.query, 1)]),
        Workload("scan", [(.scan, 1)]),
        Workload("batch", [(.batch, 1)]),
        Workload("ping", [(.ping, 1)]),
        Workload("ycsb-a", [(.get, 0.5), (.update, 0.5)], .zipfian),
        Workload("ycsb-b", [(.get, 0.95), (.update, 0.05)], .zipfian),
        Workload("ycsb-c", [(.get, 1)], .zipfian),
        Workload("ycsb-d", [(.get, 0.95), (.create, 0.05)], .latest),
        Workload("ycsb-e", [(.query, 0.95), (.create, 0.05)], .zipfian),
        Workload("ycsb-f", [(.get, 0.5), (.modifyRead, 0.5)], .zipfian),
    ]

    static func named(_ name: String) -> Workload? { all.first { $0.name == name } }

    /// Whether it needs a loaded key space.
    var readsRecords: Bool { parts.contains { ![.create, .batch, .ping].contains($0.operation) } }

    func pick(_ random: inout RandomSource) -> LoadOperation {
        if parts.count == 1 { return parts[0].operation }
        let unit = random.nextUnit()
        for part in parts where unit < part.upTo { return part.operation }
        return parts[parts.count - 1].operation
    }
}
