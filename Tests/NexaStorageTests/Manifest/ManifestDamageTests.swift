import NexaStorage
import NexaTestKit
import Testing

/// Every byte of a manifest damaged, every cut, every sector lost: reported, or nothing that was acknowledged is missing.
@Suite struct ManifestDamageTests {
    @Test func everyByteAndEveryCut() throws {
        let disk = try ManifestFixture.emptyDisk()
        let fixture = ManifestFixture(fileSystem: disk, options: ManifestOptions(byteCountMin: 7 << 10))
        let writer = try fixture.create()
        for number: UInt64 in 1...8 { try writer.addTable(number) }
        try writer.compact([1, 2, 3], into: 9)
        let state = writer.state
        let path = fixture.path(writer)
        let bytes = try disk.contents(path)

        var tallies: [(name: String, cases: Int, refused: Int, harmless: Int, silent: [String])] = []
        func run(_ name: String, _ changes: [(String, [UInt8])]) throws {
            var tally = (name: name, cases: changes.count, refused: 0, harmless: 0, silent: [String]())
            for (what, changed) in changes {
                try disk.setContents(path, changed)
                do {
                    if try fixture.read()?.state == state { tally.harmless += 1 } else { tally.silent.append(what) }
                } catch { tally.refused += 1 }
            }
            tallies.append(tally)
        }
        try run(
            "every byte flipped",
            TestScale.sample(bytes.indices).flatMap { index in
                // Zeros behind header and witness need no three ways.
                ((584..<4096).contains(index) ? [UInt8(0xFF)] : [0x01, 0x80, 0xFF]).map { mask in
                    var changed = bytes
                    changed[index] ^= mask
                    return ("byte \(index) mask \(mask)", changed)
                }
            })
        try run("every shorter length", TestScale.sample(bytes.indices).map { ("cut at \($0)", Array(bytes[..<$0])) })
        try run(
            "every sector lost",
            stride(from: 0, to: bytes.count, by: 512).flatMap { sector in
                [UInt8(0), 0xA5].map { filler in
                    var changed = bytes
                    for index in sector..<min(sector + 512, bytes.count) { changed[index] = filler }
                    return ("sector at \(sector)", changed)
                }
            })
        print("| manifest damage      |   cases | refused | harmless |  silent |")
        for tally in tallies {
            print("| \(tally.name) | \(tally.cases) | \(tally.refused) | \(tally.harmless) | \(tally.silent.count) |")
            #expect(tally.silent.isEmpty, "\(tally.silent.first ?? "")")
        }
        #expect(tallies.allSatisfy { $0.refused > 0 })
    }
}
