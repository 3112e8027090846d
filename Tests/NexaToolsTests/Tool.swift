import Foundation

/// Runs the built binary, as a person would.
enum Tool {
    struct Outcome {
        let code: Int32
        let output: String
        let errors: String
    }

    /// The binary lies beside the test executable.
    private static let binary: URL = {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent("nexadb")
    }()

    static func run(_ arguments: String..., input: String = "") throws -> Outcome { try run(arguments: arguments, input: input) }

    /// - Parameter file: gets what the tool prints; else the outcome has it.
    static func run(arguments: [String], input: String = "", printingTo file: String? = nil) throws -> Outcome {
        let process = Process()
        process.executableURL = binary
        process.arguments = arguments
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        process.standardInput = stdin
        if let file {
            process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
            try stdout.fileHandleForWriting.close()
        } else {
            process.standardOutput = stdout
        }
        process.standardError = stderr
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        // Both outputs are far smaller than a pipe holds.
        let output = try stdout.fileHandleForReading.readToEnd() ?? Data()
        let errors = try stderr.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            code: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
            errors: String(decoding: errors, as: UTF8.self))
    }
}
