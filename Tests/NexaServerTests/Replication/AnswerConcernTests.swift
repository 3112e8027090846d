import NexaReplication
import NexaServer
import NexaWire
import Testing

/// Answers that need other disks: they leave in order, or turn into errors in their place.
@Suite struct AnswerConcernTests {
    private func concern(_ lsn: UInt64, deadline: UInt64? = nil, isWrite: Bool = true) -> AnswerConcern {
        AnswerConcern(
            need: .majority, lsn: lsn, leadership: 1, deadline: deadline, requestID: nil, isWrite: isWrite, epoch: 1)
    }

    private func frame(_ queue: borrowing AnswerQueue, _ number: Int64) -> Int {
        let start = queue.bytes.byteCount
        let mark = queue.bytes.beginFrame(.success)
        queue.bytes.writeInt(number)
        queue.bytes.endFrame(mark)
        return start
    }

    private func values(_ queue: borrowing AnswerQueue, _ byteCount: Int) -> [MessagePackValue] {
        var found: [MessagePackValue] = []
        var rest = UnsafeRawBufferPointer(rebasing: queue.bytes.bytes[..<byteCount])
        let parser = FrameParser()
        while case .frame(let frame) = parser.step(rest) {
            found.append((try? MessagePackValue(decoding: frame.payload)) ?? .null)
            rest = UnsafeRawBufferPointer(rebasing: rest[frame.byteCount...])
        }
        return found
    }

    @Test func anAnswerWaitsForTheCommitPointAndEverythingBehindItWaitsToo() {
        var queue = AnswerQueue()
        queue.hold(from: frame(queue, 1), until: 5, arrival: 1, .write, concern: concern(5))
        _ = frame(queue, 2)
        #expect(queue.release(9) { _, _, _ in } == 0)
        queue.settle { $0.judge(reached: 4, current: 1, now: 0) }
        #expect(queue.release(9) { _, _, _ in } == 0)
        queue.settle { $0.judge(reached: 5, current: 1, now: 0) }
        #expect(queue.release(4) { _, _, _ in } == 0)
        let count = queue.release(5) { _, _, _ in }
        #expect(values(queue, count) == [1, 2])
        #expect(queue.concernCount == 0)
    }

    @Test func anAnswerWhoseTimeIsUpBecomesAnErrorInItsPlace() {
        var queue = AnswerQueue()
        queue.hold(from: frame(queue, 1), until: 5, arrival: 1, .write, concern: concern(5, deadline: 100))
        queue.hold(from: frame(queue, 2), until: 6, arrival: 1, .write)
        queue.hold(from: frame(queue, 3), until: 7, arrival: 1, .write, concern: concern(7))
        _ = frame(queue, 4)
        queue.settle { $0.judge(reached: 4, current: 1, now: 100) }
        let first = queue.release(7) { _, _, _ in }
        let answers = values(queue, first)
        #expect(answers.count == 2)
        #expect(answers[0]["code"] == "WRITE_CONCERN_TIMEOUT" && answers[0]["outcome"] == "unknown")
        #expect(answers[1] == 2)
        queue.consume(first)
        queue.settle { $0.judge(reached: 7, current: 1, now: 100) }
        let rest = queue.release(7) { _, _, _ in }
        #expect(values(queue, rest) == [3, 4])
    }

    @Test func whatALostLeadershipPromisedIsUnknownWhateverThePositionsSay() {
        #expect(concern(5).judge(reached: 9, current: 1, now: 0) == .met)
        guard case .failed(let error) = concern(5).judge(reached: 9, current: 2, now: 0) else {
            Issue.record("a later leadership's position counted")
            return
        }
        #expect(error.code == .writeConcernTimeout)
        guard case .failed(let read) = concern(5, isWrite: false).judge(reached: 0, current: 2, now: 0) else {
            Issue.record("a read waits for a leadership that is over")
            return
        }
        #expect(read.code == .staleRead)
    }
}
