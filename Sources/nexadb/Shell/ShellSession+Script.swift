import ArgumentParser
import NexaBlockingClient
import NexaShell
import NexaWire

/// Text with many statements, and what a person is told when one fails.
extension ShellSession {
    private static let scriptDepthMax = 8

    /// Runs all statements of `text`; false when one of them was exit. What fails is told on standard error and thrown as an exit code.
    mutating func execute(_ text: String) throws(ExitCode) -> Bool {
        do {
            for command in try ShellParser.parse(text) where try !run(command) { return false }
            return true
        } catch let code as ExitCode {
            throw code
        } catch let problem as TextProblem {
            Console.complain("cannot read the command\n" + problem.pointing(into: text))
            throw ToolExit.usage
        } catch let error as ClientError {
            Self.tell(error, text)
            throw ToolExit.code(for: error)
        } catch let failure as Failure {
            throw Self.told(failure)
        } catch {
            Console.complain("\(error)")
            throw ToolExit.failed
        }
    }

    private static func tell(_ error: ClientError, _ text: String) {
        guard case .refused(let refusal) = error else { return Console.complain(TerminalText.visible(error.description)) }
        if refusal.code == "CANCELLED" { return Console.note("cancelled") }
        Console.complain(TerminalText.visible(refusal.description))
        // What the node names is pointed at.
        let words = ["operator", "path", "field"].compactMap { refusal.payload[$0]?.stringValue }
        if let place = words.lazy.compactMap({ TextProblem(message: "here", about: $0, in: text) }).first {
            Console.note(place.pointing(into: text))
        }
    }

    private static func told(_ failure: Failure) -> ExitCode {
        let (message, code) =
            switch failure {
            case .notFound(let message): (message, ToolExit.notFound)
            case .duplicate(let message): (message, ToolExit.conflict)
            case .usage(let message): (message, ToolExit.usage)
            case .file(let message): (message, ToolExit.failed)
            }
        Console.complain(TerminalText.visible(message))
        return code
    }

    mutating func runScript(_ path: String) throws -> Bool {
        guard scriptDepth < Self.scriptDepthMax else {
            throw Failure.usage("files that read files, deeper than \(Self.scriptDepthMax): \(path)")
        }
        let text: String
        do throws(SmallFile.Failure) { text = try SmallFile.read(path) } catch { throw Failure.file(error.description) }
        scriptDepth += 1
        defer { scriptDepth -= 1 }
        return try execute(text)
    }
}
