// Text fixtures for the picker. A line describes a table:
//
//     L0 #7 a-f 10           table 7 of level 0 with keys a...f and 10 MiB; levels list L0 newest first, others ascending
//     L2 #3 a-c 5 del        half of it are deletions          L2 #3 a-c 5 range     it holds range tombstones

import NexaStorage
import Testing

@Suite struct CompactionPickerTests {
    @Test func nothingToDoInAnEmptyOrSmallStore() {
        #expect(pick("") == "nothing")
        #expect(pick("L0 #1 a-z 16") == "nothing")
        #expect(pick("L6 #1 a-m 30 / L6 #2 n-z 30") == "nothing")
    }

    @Test func fourOverlappingTablesOfL0GoStraightToTheLastLevelOfASmallStore() {
        #expect(
            pick("L0 #4 a-z 4 / L0 #3 b-y 4 / L0 #2 a-x 4 / L0 #1 c-z 4 / L6 #9 a-k 10 / L6 #10 l-z 10")
                == "levelZero L0 #4 #3 #2 #1 -> L6 with #9 #10")
    }

    @Test func tablesOfL0ThatDoNotOverlapMoveOneByOne() {
        #expect(pick("L0 #4 p-z 16 / L0 #3 k-o 16 / L0 #2 f-j 16 / L0 #1 a-e 16") == "levelZero L0 #1 -> L6 move")
    }

    @Test func onlyTheOverlappingPartOfL0IsTaken() {
        #expect(
            pick("L0 #5 t-z 20 / L0 #4 a-d 20 / L0 #3 c-f 20 / L0 #2 x-y 20 / L0 #1 b-c 20")
                == "levelZero L0 #4 #3 #1 -> L6")
    }

    @Test func aLargeStoreGetsLevelsBetween() {
        // 1 GiB in L6: base is L4; L0 goes there.
        let bottom = (0..<32).map { "L6 #\(100 + $0) k\($0 + 10)-k\($0 + 10)z 32" }.joined(separator: " / ")
        #expect(pick("L0 #4 a-z 4 / L0 #3 a-z 4 / L0 #2 a-z 4 / L0 #1 a-z 4 / " + bottom) == "levelZero L0 #4 #3 #2 #1 -> L4")
    }

    @Test func aFullLevelGivesTheTableWithTheLeastOverlapBelow() {
        let bottom = "L6 #20 a-c 500 / L6 #21 d-f 500 / L6 #22 g-i 10 / L6 #23 j-z 500"
        #expect(
            pick("L4 #1 a-c 40 / L4 #2 d-f 40 / L4 #3 g-i 40 / L5 #10 a-b 100 / L5 #11 d-e 100 / L5 #12 g-h 10 / " + bottom)
                == "size L4 #3 -> L5 with #12")
    }

    @Test func rangeTombstonesGoDownUntilNothingLiesUnderThem() {
        #expect(pick("L0 #5 a-m 1 range / L6 #1 a-f 30 / L6 #2 n-z 10") == "deletions L0 #5 -> L6 with #1")
        #expect(pick("L5 #5 a-m 1 range / L6 #1 a-f 300") == "deletions L5 #5 -> L6 with #1")
        #expect(pick("L6 #5 a-m 1 range / L6 #6 n-z 1") == "bottom L6 #5 -> L6")
    }

    @Test func deletionsWaitForTheSnapshotsThatNeedWhatTheyHide() {
        #expect(pick("L6 #5 a-m 1 range", oldestBoundary: 4) == "nothing")
    }

    @Test func aLevelThatTheStoreIsTooSmallForIsEmptied() {
        #expect(pick("L5 #5 a-m 1 / L6 #1 a-f 30") == "size L5 #5 -> L6 with #1")
    }

    @Test func mostlyDeletedTablesGoDown() {
        #expect(pick("L5 #5 a-m 1 del / L6 #1 a-f 300") == "deletions L5 #5 -> L6 with #1")
    }

    @Test func depthCountsTablesThatShareAKey() {
        #expect(CompactionPicker.depth(parse("L0 #1 a-c 1 / L0 #2 c-e 1 / L0 #3 f-g 1")[0]) == 2)
        #expect(CompactionPicker.depth([]) == 0)
    }

    private func pick(_ text: String, oldestBoundary: UInt64 = 1000) -> String {
        guard let pick = CompactionPicker.pick(levels: parse(text), oldestBoundary: oldestBoundary, policy: CompactionPolicy())
        else {
            return "nothing"
        }
        var words = [pick.reason.rawValue, "L\(pick.inputLevel)"] + pick.inputs.map { "#\($0.number)" }
        words += ["->", "L\(pick.outputLevel)"]
        if !pick.overlapping.isEmpty { words += ["with"] + pick.overlapping.map { "#\($0.number)" } }
        if pick.isMove { words.append("move") }
        return words.joined(separator: " ")
    }

    private func parse(_ text: String) -> [[TableFile]] {
        var levels = [[TableFile]](repeating: [], count: 7)
        for line in text.split(separator: "/") {
            let words = line.split(separator: " ")
            let level = Int(words[0].dropFirst())!
            let keys = words[2].split(separator: "-").map { Array($0.utf8) }
            let flags = words.dropFirst(4)
            levels[level].append(
                TableFile(
                    level: level, number: UInt64(words[1].dropFirst())!, byteCount: UInt64(words[3])! << 20, smallestKey: keys[0],
                    largestKey: keys[1], smallestLSN: 1, largestLSN: UInt64(words[1].dropFirst())!, entryCount: 100,
                    tombstoneCount: flags.contains("del") ? 60 : flags.contains("range") ? 1 : 0,
                    rangeTombstoneCount: flags.contains("range") ? 1 : 0, fileContext: 1, digest: 1))
        }
        return levels
    }
}
