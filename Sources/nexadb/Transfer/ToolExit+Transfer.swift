import ArgumentParser
import NexaTransfer

extension ToolExit {
    static func code(for error: TransferError) -> ExitCode {
        switch error {
        case .unusable: usage
        case .system, .refused, .interrupted: failed
        case .client(let error): code(for: error)
        }
    }
}
