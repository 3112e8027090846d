import NexaDocuments
import NexaServer
import NexaStorage
import NexaTestKit
import Testing

struct ChangeWindowTests {
    private func chunk(_ lsns: ClosedRange<LSN>, byteCount: Int = 10) -> ChangeChunk {
        let chunk = ChangeChunk()
        for lsn in lsns {
            withBytes([UInt8](repeating: UInt8(lsn & 255), count: byteCount)) { payload in
                chunk.append(
                    ChangeRecord(
                        position: LogPosition(epoch: 3, lsn: lsn), isCatalog: lsn % 2 == 0, chainInFront: lsn * 10,
                        chainBehind: lsn * 10 + 10, payload: payload))
            }
        }
        return chunk
    }

    private func lsns(_ look: ChangeWindow.Look, from lsn: LSN) -> [LSN]? {
        guard case .chunks(let chunks) = look else { return nil }
        var found: [LSN] = []
        for chunk in chunks {
            chunk.forEach(from: lsn) { record in
                #expect(record.position.epoch == 3 && record.isCatalog == (record.position.lsn % 2 == 0))
                #expect(record.chainInFront == record.position.lsn * 10 && record.chainBehind == record.chainInFront + 10)
                #expect(record.payload.allSatisfy { $0 == UInt8(record.position.lsn & 255) })
                found.append(record.position.lsn)
                return true
            }
        }
        return found
    }

    @Test func knowsWhatIsBehindWithinAndAhead() {
        var window = ChangeWindow()
        if case .ahead = window.look(7) {} else { Issue.record("nothing was read yet") }
        window.restart(at: 7)
        window.append(chunk(7...9))
        window.append(chunk(10...10))
        if case .behind = window.look(6) {} else { Issue.record("6 was never here") }
        #expect(lsns(window.look(7), from: 7) == [7, 8, 9, 10])
        #expect(lsns(window.look(9), from: 9) == [9, 10])
        #expect(lsns(window.look(10), from: 10) == [10])
        if case .ahead = window.look(11) {} else { Issue.record("11 was not read yet") }
        #expect(window.nextLSN == 11)
    }

    @Test func theOldestLeaveWhenItIsFull() {
        var window = ChangeWindow()
        window.restart(at: 1)
        for lsn in LSN(1)...20 { window.append(chunk(lsn...lsn, byteCount: 1 << 20)) }
        if case .behind = window.look(10) {} else { Issue.record("20 MiB do not fit") }
        #expect(lsns(window.look(20), from: 20) == [20])
        window.append(chunk(21...21, byteCount: 8 << 20))
        #expect(lsns(window.look(21), from: 21) == [21], "the newest stays, whatever its size")
        if case .behind = window.look(20) {} else { Issue.record("no room beside it") }
    }

    @Test func beginsAnewInFrontOfAnyRecord() {
        var window = ChangeWindow()
        window.append(chunk(1...5))
        window.restart(at: 100)
        if case .behind = window.look(5) {} else { Issue.record("5 has left") }
        if case .ahead = window.look(100) {} else { Issue.record("100 was not read yet") }
    }
}
