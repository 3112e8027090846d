// Flush and compaction publish tables side by side, each with numbers of files that it drew before.

import Foundation
import NexaStorage
import NexaTestKit
import Testing

@Suite struct PublishTests {
    /// A manifest edit whose numbers fell behind those of an edit that overtook it used to end the process.
    @Test func flushesAndCompactionsThatPublishAtOnceDoNotContradictEachOther() throws {
        var options = smallOptions()
        options.backgroundWork = .threads
        options.memTableByteCount = 64 << 10
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
        let perThread = 12_000
        DispatchQueue.concurrentPerform(iterations: 2) { thread in
            for index in 0..<perThread {
                _ = try! engine.write { $0.put("key\(thread)-\(index * 7919 % perThread)", String(repeating: "v", count: 60)) }
            }
        }
        try engine.waitDurable(LSN(2 * perThread))
        try engine.close()
        options.backgroundWork = .manual
        let again = try Engine.open(directory: "/db", fileSystem: disk, options: options)
        let reader = again.makeReader()
        for thread in 0..<2 {
            for index in stride(from: 0, to: perThread, by: 97) {
                let key = Array("key\(thread)-\(index)".utf8)
                #expect(try key.withUnsafeBytes { try reader.exists($0, at: .max, mayBlock: true) })
            }
        }
        try again.close()
    }
}
