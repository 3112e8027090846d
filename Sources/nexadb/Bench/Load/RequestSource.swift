/// Draws the next request of a thread: operation by the mix, record by the distribution, fresh ids for creates.
///
/// Threads never create the same id: thread t of T takes `firstNewID + t, + T, + 2T, ...`.
struct RequestSource {
    private let workload: Workload
    private let plan: LoadPlan
    private let stride: UInt64
    private let firstNewID: UInt64
    private var createdCount: UInt64 = 0
    private var random: RandomSource
    private let zipfian: ZipfianDistribution
    /// Newest records are drawn this far behind the last create, so that they are answered already.
    private let inFlightMax: UInt64

    init(workload: Workload, plan: LoadPlan, thread: Int, zipfian: ZipfianDistribution) {
        self.workload = workload
        self.plan = plan
        self.zipfian = zipfian
        stride = UInt64(plan.threads)
        firstNewID = plan.firstNewID + UInt64(thread)
        random = RandomSource(seed: RandomSource.mix(plan.seed &+ UInt64(thread) &* 0x9E37))
        inFlightMax = UInt64(plan.connections * plan.depth / plan.threads + 1)
    }

    mutating func next() -> LoadRequest {
        let operation = workload.pick(&random)
        switch operation {
        case .ping, .scan:
            return LoadRequest(operation: operation, id: 0)
        case .create:
            defer { createdCount += 1 }
            let id = newID(createdCount)
            return LoadRequest(operation: operation, age: BenchRecord.age(of: id), id: id)
        case .batch:
            defer { createdCount += plan.batchCount }
            return LoadRequest(operation: operation, id: newID(createdCount), stride: stride)
        case .query:
            let limit = plan.queryLimit > 0 ? plan.queryLimit : UInt8(1 + random.next(below: 100))
            return LoadRequest(operation: operation, limit: limit, id: knownID())
        case .get, .update, .modifyRead, .modifyWrite:
            return LoadRequest(operation: operation, age: 18 + UInt8(random.next(below: 73)), id: knownID())
        }
    }

    private func newID(_ index: UInt64) -> UInt64 { (firstNewID + index * stride) % BenchRecord.idLimit }

    private mutating func knownID() -> UInt64 {
        switch workload.keyChoice {
        case .uniform:
            return random.next(below: plan.records)
        case .zipfian:
            // Scrambled, so that the popular records are not neighbours.
            return RandomSource.mix(zipfian.rank(&random)) % plan.records
        case .latest:
            let known = plan.records + (createdCount > inFlightMax ? createdCount - inFlightMax : 0)
            let index = known - 1 - min(known - 1, zipfian.rank(&random))
            return index < plan.records ? index : newID(index - plan.records)
        }
    }
}
