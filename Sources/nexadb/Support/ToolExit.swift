import ArgumentParser
import Glibc
import NexaBlockingClient

/// Exit codes of the tools, the same for all of them; docs/tools.md lists them for users.
enum ToolExit {
    static let failed = ExitCode(1)
    /// Wrong use; ArgumentParser's own validation errors exit with 64 (EX_USAGE).
    static let usage = ExitCode(2)
    static let notFound = ExitCode(3)
    static let conflict = ExitCode(4)
    static let unavailable = ExitCode(5)

    static func code(for error: ClientError) -> ExitCode {
        switch error {
        case .cannotConnect, .timedOut, .disconnected: unavailable
        case .protocolViolation: failed
        case .refused(let refusal):
            switch refusal.code {
            case "NO_SUCH_COLLECTION", "NO_SUCH_DATABASE", "NO_SUCH_INDEX", "NO_SUCH_USER": notFound
            case "DUPLICATE", "CONFLICT": conflict
            case "TIMEOUT", "WRITE_CONCERN_TIMEOUT", "OVERLOADED", "SHUTTING_DOWN": unavailable
            case "BAD_REQUEST", "BAD_FILTER", "BAD_UPDATE", "BAD_PAYLOAD": usage
            default: failed
            }
        }
    }

    /// Runs the body of a command: client errors become a line on stderr and their exit code.
    static func guarded(_ body: () throws -> Void) throws { try answering(body) }

    /// The same for a body with a result.
    static func answering<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as ClientError {
            Console.complain(error.description)
            throw code(for: error)
        } catch let error as LoadFailure {
            Console.complain(error.description)
            throw failed
        }
    }
}
