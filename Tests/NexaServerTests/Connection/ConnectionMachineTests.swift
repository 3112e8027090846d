import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// What the machine said, in one word each: a script of a connection reads as a list of them.
private enum Word: Equatable {
    case more, wait
    case execute(MessageType)
    case control(MessageType)
    case reject(ErrorCode)
    case fail(ErrorCode)
    case discard
}

private func limits(_ change: (inout ServerConfiguration) -> Void = { _ in }) -> ConnectionLimits {
    var configuration = ServerConfiguration()
    change(&configuration)
    return ConnectionLimits(configuration)
}

/// Everything the machine would do with `input` if each executed request were answered at once.
private func script(_ machine: borrowing ConnectionMachine, _ input: [UInt8]) -> [Word] {
    var words: [Word] = []
    var offset = 0
    while true {
        let (word, used): (Word, Int) = input.withUnsafeBytes { bytes in
            switch machine.decide(UnsafeRawBufferPointer(rebasing: bytes[offset...])) {
            case .needMoreBytes: (.more, 0)
            case .wait: (.wait, 0)
            case .execute(let frame): (.execute(frame.type ?? .error), frame.byteCount)
            case .control(let frame): (.control(frame.type ?? .error), frame.byteCount)
            case .reject(let rejection): (.reject(rejection.error.code), rejection.byteCount)
            case .fail(let error): (.fail(error.code), 0)
            case .discard: (.discard, 0)
            }
        }
        words.append(word)
        if used == 0 { return words }
        offset += used
    }
}

@Suite struct ConnectionMachineTests {
    private let ping = RawClient.frame(.ping)
    private let read = RawClient.frame(.read)

    @Test func pipelinedFramesAreExecutedInOrder() {
        let machine = ConnectionMachine(limits: limits(), now: 0)
        #expect(script(machine, ping + read + ping) == [.execute(.ping), .execute(.read), .execute(.ping), .more])
    }

    @Test func anyPrefixOfAFrameAsksForMore() {
        let machine = ConnectionMachine(limits: limits(), now: 0)
        for count in 0..<ping.count { #expect(script(machine, Array(ping.prefix(count))) == [.more]) }
    }

    @Test func aRequestThatIsAwayHoldsThoseBehindIt() {
        var machine = ConnectionMachine(limits: limits(), now: 0)
        machine.depart(holds: true)
        #expect(script(machine, ping) == [.wait])
        machine.arrive(holds: true)
        #expect(script(machine, ping) == [.execute(.ping), .more])
    }

    @Test func requestsWithAnIDGoOnBesideEachOther() {
        var machine = ConnectionMachine(limits: limits { $0.inFlightCountMax = 2 }, now: 0)
        machine.depart(holds: false)
        #expect(script(machine, ping) == [.execute(.ping), .more])
        machine.depart(holds: false)
        #expect(script(machine, ping) == [.wait])
        #expect(machine.wantsInput(bufferedByteCount: 0) == false)
        machine.arrive(holds: false)
        #expect(script(machine, ping) == [.execute(.ping), .more])
        #expect(machine.wantsInput(bufferedByteCount: 0) == true)
    }

    @Test func aConnectionHasAboutOneLargestFrameOfPayloadsAway() {
        var machine = ConnectionMachine(limits: limits { $0.frameByteCountMax = ByteCount(4_096) }, now: 0)
        machine.depart(holds: false, byteCount: 4_096)
        #expect(script(machine, ping) == [.execute(.ping), .more])
        machine.depart(holds: false, byteCount: 1)
        #expect(script(machine, ping) == [.wait])
        #expect(machine.wantsInput(bufferedByteCount: 0) == false)
        #expect(machine.awayByteCount == 4_097)
        machine.arrive(holds: false, byteCount: 4_096)
        #expect(script(machine, ping) == [.execute(.ping), .more])
        #expect(machine.wantsInput(bufferedByteCount: 0) == true)
    }

    @Test func controlPassesTheStreamThatHoldsTheConnection() {
        var machine = ConnectionMachine(limits: limits(), now: 0)
        machine.depart(holds: true)
        machine.becomeStream(holds: true)
        let credit = RawClient.frame(.cursorCredit)
        #expect(script(machine, credit + RawClient.frame(.cancel) + ping) == [.control(.cursorCredit), .control(.cancel), .wait])
        machine.arrive(holds: true)
        #expect(script(machine, ping) == [.execute(.ping), .more])
    }

    @Test func aSlowReaderIsNotServedUntilItTakesItsAnswers() {
        var machine = ConnectionMachine(limits: limits { $0.outputByteCountMax = ByteCount(100) }, now: 0)
        machine.answers.bytes.append([UInt8](repeating: 0, count: 101))
        #expect(script(machine, ping) == [.wait])
        #expect(machine.wantsInput(bufferedByteCount: 0) == false)
        machine.answers.consume(50)
        #expect(script(machine, ping) == [.execute(.ping), .more])
        #expect(machine.wantsInput(bufferedByteCount: 0) == true)
    }

    @Test func whatIsBufferedBehindARequestThatIsAwayIsBounded() {
        var machine = ConnectionMachine(limits: limits(), now: 0)
        machine.depart(holds: true)
        #expect(machine.wantsInput(bufferedByteCount: 0) == true)
        #expect(machine.wantsInput(bufferedByteCount: ConnectionMachine.heldInputByteCountMax) == false)
    }

    @Test func aStreamWhoseAnswersAreNotTakenLetsNoMoreInputIn() {
        var machine = ConnectionMachine(limits: limits { $0.outputByteCountMax = ByteCount(100) }, now: 0)
        machine.depart(holds: true)
        machine.becomeStream(holds: true)
        machine.answers.bytes.append([UInt8](repeating: 0, count: 101))
        // Its credit and its end can still come.
        #expect(machine.wantsInput(bufferedByteCount: 0) == true)
        #expect(machine.wantsInput(bufferedByteCount: ConnectionMachine.heldInputByteCountMax) == false)
    }

    @Test func aBrokenFrameFailsTheConnectionAndABrokenFlagDoesNot() {
        let machine = ConnectionMachine(limits: limits(), now: 0)
        #expect(script(machine, Array("GET / HTTP/1.1\r\n\r\n".utf8)) == [.fail(.badFrame)])
        var version = ping
        version[4] = 2
        #expect(script(machine, version) == [.fail(.badFrame)])
        var flags = ping
        flags[6] = 0x80
        #expect(script(machine, flags + ping) == [.reject(.unsupported), .execute(.ping), .more])
    }

    @Test func anAnnouncedLengthAboveTheLimitFailsBeforeItsPayload() {
        let machine = ConnectionMachine(limits: limits { $0.frameByteCountMax = ByteCount(4_096) }, now: 0)
        var header = Array(ping.prefix(12))
        header.replaceSubrange(8..<12, with: [0, 0, 0x10, 0x01])
        #expect(script(machine, header) == [.fail(.tooLarge)])
    }

    @Test func compressedRequestsNeedNegotiation() {
        var machine = ConnectionMachine(limits: limits(), now: 0)
        let frame: [UInt8] = [0x4E, 0x45, 0x58, 0x41, 1, 9, 0, 4, 0, 0, 0, 6, 0, 0, 0, 1, 0x10, 0x80]
        #expect(script(machine, frame) == [.reject(.unsupported), .more])
        machine.acceptCompressedRequests()
        #expect(script(machine, frame) == [.execute(.ping), .more])
    }

    @Test func whenInputEndsWholeRequestsAreServedAndNothingMoreIsRead() {
        var machine = ConnectionMachine(limits: limits(), now: 0)
        machine.depart(holds: true)
        machine.endInput()
        #expect(machine.wantsInput(bufferedByteCount: 0) == false)
        #expect(machine.takesCredit == false)
        #expect(script(machine, ping) == [.wait])
        machine.arrive(holds: true)
        #expect(script(machine, ping + Array(ping.prefix(5))) == [.execute(.ping), .more])
    }

    @Test func drainingTakesNoRequestAndEndsWhenAllIsSaid() {
        var machine = ConnectionMachine(limits: limits(), now: 0)
        machine.depart(holds: false)
        machine.answers.bytes.append([1, 2, 3])
        machine.drain()
        #expect(script(machine, ping) == [.discard])
        #expect(machine.wantsInput(bufferedByteCount: 0) == false)
        #expect(machine.isFinished(socketIsEmpty: true) == false)
        machine.answers.consume(3)
        #expect(machine.isFinished(socketIsEmpty: true) == false)
        machine.arrive(holds: false)
        #expect(machine.isFinished(socketIsEmpty: true) == true)
    }
}

@Suite struct AnswerQueueTests {
    private func releasable(_ queue: inout AnswerQueue, _ acknowledged: LSN) -> Int {
        queue.release(acknowledged) { _, _, _ in }
    }

    @Test func onlyThePrefixBeforeTheFirstUnacknowledgedWriteLeaves() {
        var queue = AnswerQueue()
        queue.bytes.append([UInt8](repeating: 1, count: 10))
        queue.bytes.append([UInt8](repeating: 2, count: 5))
        queue.hold(from: 10, until: 7, arrival: 1, .write)
        queue.bytes.append([UInt8](repeating: 3, count: 20))
        #expect(releasable(&queue, 6) == 10)
        queue.consume(10)
        #expect(releasable(&queue, 6) == 0)
        #expect(queue.isHeld == true)
        #expect(releasable(&queue, 7) == 25)
        #expect(queue.isHeld == false)
    }

    @Test func writesOfOneBurstLeaveTogether() {
        var queue = AnswerQueue()
        for index in 0..<4 {
            queue.bytes.append([0, 0])
            queue.hold(from: index * 2, until: LSN(index + 1), arrival: 9, .write)
        }
        #expect(releasable(&queue, 3) == 0)
        var requests = 0
        #expect(queue.release(4) { _, _, count in requests += count } == 8)
        #expect(requests == 4)
    }

    @Test func everyRequestIsTimedOnceAsWhatItIs() {
        var queue = AnswerQueue()
        var timed: [LatencyClass: Int] = [:]
        for (index, latencyClass) in [LatencyClass.write, .write, .scan, .read, .write].enumerated() {
            queue.bytes.append([0, 0])
            queue.hold(from: index * 2, until: index == 3 ? 1 : LSN(index + 1), arrival: 9, latencyClass)
        }
        queue.bytes.append([0, 0])
        queue.hold(from: 10, until: 2, arrival: 9, nil)
        #expect(queue.release(3) { _, latencyClass, count in timed[latencyClass, default: 0] += count } == 8)
        #expect(timed == [.write: 2, .scan: 1, .read: 1])
        #expect(queue.release(5) { _, latencyClass, count in timed[latencyClass, default: 0] += count } == 12)
        #expect(timed == [.write: 3, .scan: 1, .read: 1])
    }

    @Test func writesOfTwoBurstsLeaveAsTheyAreAcknowledged() {
        var queue = AnswerQueue()
        queue.bytes.append([0, 0])
        queue.hold(from: 0, until: 1, arrival: 1, .write)
        queue.bytes.append([0, 0, 0])
        queue.hold(from: 2, until: 2, arrival: 2, .write)
        #expect(releasable(&queue, 1) == 2)
        queue.consume(2)
        #expect(releasable(&queue, 2) == 3)
    }

    @Test func whatTheFailedLogPromisedIsDropped() {
        var queue = AnswerQueue()
        queue.bytes.append([1, 1, 1])
        queue.bytes.append([2, 2])
        queue.hold(from: 3, until: 5, arrival: 1, .write)
        queue.dropHeld()
        #expect(queue.byteCount == 3)
        #expect(queue.isHeld == false)
        #expect(releasable(&queue, 0) == 3)
    }
}

@Suite struct ConnectionClockTests {
    private let limits = ConnectionLimits(
        {
            var configuration = ServerConfiguration()
            configuration.handshakeLimit = .seconds(1)
            configuration.frameLimit = .seconds(2)
            configuration.idleLimit = .seconds(10)
            configuration.writeStallLimit = .seconds(5)
            return configuration
        }())

    @Test func aConnectionThatSaysNothingIsClosedAfterTheHandshakeLimit() {
        let clock = ConnectionClock(now: 100)
        #expect(clock.passed(limits, isBusy: false, at: 1_100) == nil)
        #expect(clock.passed(limits, isBusy: false, at: 1_101) == .handshake)
    }

    @Test func aFrameThatDripsIsCutHoweverManyPiecesCome() {
        var clock = ConnectionClock(now: 0)
        clock.served(at: 0)
        for now in stride(from: UInt64(100), through: 2_100, by: 250) { clock.partialFrame(true, at: now) }
        #expect(clock.passed(limits, isBusy: false, at: 2_100) == nil)
        #expect(clock.passed(limits, isBusy: false, at: 2_101) == .frame)
        clock.partialFrame(false, at: 2_102)
        #expect(clock.passed(limits, isBusy: false, at: 2_103) == nil)
    }

    @Test func idleCountsFromTheLastRequestAndNotWhileBusy() {
        var clock = ConnectionClock(now: 0)
        clock.served(at: 5_000)
        #expect(clock.passed(limits, isBusy: false, at: 15_000) == nil)
        #expect(clock.passed(limits, isBusy: true, at: 15_001) == nil)
        #expect(clock.passed(limits, isBusy: false, at: 15_001) == .idle)
    }

    @Test func aReaderThatTakesSomethingNowAndThenIsNotStalled() {
        var clock = ConnectionClock(now: 0)
        clock.served(at: 0)
        clock.taken(0, at: 0)
        clock.taken(0, at: 4_000)
        clock.taken(100, at: 4_500)
        #expect(clock.passed(limits, isBusy: true, at: 9_500) == nil)
        #expect(clock.passed(limits, isBusy: true, at: 9_501) == .writeStall)
        clock.allTaken()
        #expect(clock.passed(limits, isBusy: true, at: 9_700) == nil)
        clock.taken(50, at: 10_000)
        #expect(clock.passed(limits, isBusy: true, at: 15_000) == nil)
        #expect(clock.passed(limits, isBusy: true, at: 15_001) == .writeStall)
    }

    @Test func aLimitThatIsOffNeverPasses() {
        var configuration = ServerConfiguration()
        configuration.handshakeLimit = .off
        configuration.frameLimit = .off
        configuration.idleLimit = .off
        configuration.writeStallLimit = .off
        var clock = ConnectionClock(now: 0)
        clock.partialFrame(true, at: 0)
        clock.taken(0, at: 0)
        #expect(clock.passed(ConnectionLimits(configuration), isBusy: false, at: .max / 2) == nil)
    }
}
