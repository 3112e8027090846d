import NexaClient
import Testing

/// An answer reaches the request it belongs to or nobody.
struct PendingTableTests {
    typealias Table = PendingTable<Int>

    private func waiter(_ owner: Table.Owner) -> Int? {
        if case .waiter(let waiter, _) = owner { waiter } else { nil }
    }

    @Test func answersFindTheirRequestsInAnyOrder() {
        var table = Table(isOrdered: false)
        let ids = (0..<10).map { table.insert($0, ticket: UInt64($0), deadline: .max) }
        for index in [7, 0, 9, 3] {
            #expect(waiter(table.owner(of: ids[index])) == index)
            table.release(ids[index])
            if case .unknown = table.owner(of: ids[index]) {} else { Issue.record("an id was known after its release") }
        }
        #expect(table.count == 6)
    }

    @Test func anIDIsNotUsedAgainForTheNextRequestInItsSlot() {
        var table = Table(isOrdered: false)
        let first = table.insert(1, ticket: 1, deadline: .max)
        table.release(first)
        let second = table.insert(2, ticket: 2, deadline: .max)
        #expect(first != second)
        if case .unknown = table.owner(of: first) {} else { Issue.record("the old id reached the new request") }
        #expect(waiter(table.owner(of: second)) == 2)
    }

    @Test func aRequestThatWasGivenUpLeavesATombstoneForItsAnswer() {
        var table = Table(isOrdered: false)
        let id = table.insert(1, ticket: 5, deadline: .max)
        #expect(table.giveUp(5)?.waiter == 1)
        #expect(table.giveUp(5) == nil)
        #expect(table.count == 1 && table.tombstoneCount == 1)
        let next = table.insert(2, ticket: 6, deadline: .max)
        if case .nobody(let buried) = table.owner(of: id) { #expect(buried == id) } else { Issue.record("no tombstone") }
        #expect(waiter(table.owner(of: next)) == 2)
        table.release(id)
        #expect(table.count == 1 && table.tombstoneCount == 0)
    }

    @Test func withoutIDsTheOrderStandsAndTombstonesKeepIt() {
        var table = Table(isOrdered: true)
        for number in 1...3 { _ = table.insert(number, ticket: UInt64(number), deadline: .max) }
        _ = table.giveUp(1)
        guard case .nobody(let id) = table.owner(of: nil) else {
            Issue.record("the first answer did not go to the tombstone")
            return
        }
        table.release(id)
        for expected in 2...3 {
            guard case .waiter(let waiter, let id) = table.owner(of: nil) else {
                Issue.record("nobody for \(expected)")
                return
            }
            #expect(waiter == expected)
            table.release(id)
        }
        if case .unknown = table.owner(of: nil) {} else { Issue.record("an answer too many found somebody") }
    }

    @Test func onlyWhatIsOverdueExpires() {
        var table = Table(isOrdered: false)
        _ = table.insert(1, ticket: 1, deadline: 100)
        let late = table.insert(2, ticket: 2, deadline: 300)
        _ = table.insert(3, ticket: 3, deadline: 200)
        #expect(table.earliestDeadline == 100)
        #expect(table.expire(99).isEmpty)
        #expect(table.expire(200).map(\.waiter).sorted() == [1, 3])
        #expect(table.earliestDeadline == 300)
        #expect(waiter(table.owner(of: late)) == 2)
    }

    /// Against a dictionary that does the same, in random order.
    @Test func agreesWithAModel() {
        let seed = testSeed()
        var generator = SeededGenerator(seed: seed)
        var table = Table(isOrdered: false)
        var alive: [UInt32: Int] = [:]
        var buried: Set<UInt32> = []
        var next = 0
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                next += 1
                alive[table.insert(next, ticket: UInt64(next), deadline: .max)] = next
            case 5..<8:
                guard let (id, expected) = alive.sorted(by: { $0.key < $1.key }).randomElement(using: &generator) else {
                    continue
                }
                #expect(waiter(table.owner(of: id)) == expected, "seed \(seed)")
                table.release(id)
                alive[id] = nil
            case 8:
                guard let (id, number) = alive.sorted(by: { $0.key < $1.key }).randomElement(using: &generator) else { continue }
                #expect(table.giveUp(UInt64(number))?.id == id, "seed \(seed)")
                alive[id] = nil
                buried.insert(id)
            default:
                guard let id = buried.sorted().randomElement(using: &generator) else { continue }
                if case .nobody = table.owner(of: id) {} else { Issue.record("no tombstone, seed \(seed)") }
                table.release(id)
                buried.remove(id)
            }
            if alive.count > 50 {
                for (id, _) in alive { table.release(id) }
                alive = [:]
            }
        }
        #expect(table.count == alive.count + buried.count)
    }
}
