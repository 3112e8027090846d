import Glibc
import NexaShell
import NexaWire

/// Where results go, and in which mode: standard output or a file. Documents are written as they come, many lines at a time where nobody
/// watches.
final class Results {
    var mode: OutputMode
    private var descriptor: Int32 = 1
    private var isTerminal = isatty(1) == 1
    private var buffer = ""
    private var failure: String?

    /// What is gathered before it is written, unless a person watches.
    private static let bufferByteCountMax = 64 << 10

    init(mode: OutputMode) { self.mode = mode }

    deinit {
        if descriptor != 1 { close(descriptor) }
    }

    /// Writes what follows to a file, which is emptied; nil: to standard output again.
    func redirect(to path: String?) throws {
        var next: Int32 = 1
        if let path {
            next = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
            guard next >= 0 else { throw ShellSession.Failure.file("cannot write \(path): \(String(cString: strerror(errno)))") }
        }
        if descriptor != 1 { close(descriptor) }
        descriptor = next
        isTerminal = isatty(next) == 1
    }

    /// Writes one result. Returns how many values it had.
    @discardableResult
    func write(_ body: (inout ResultWriter) throws -> Void) throws -> Int {
        var writer = ResultWriter(mode: mode, width: width, isForTerminal: isTerminal) { [self] in add($0 + "\n") }
        let outcome = Result { try body(&writer) }
        // What came before a failure is shown.
        writer.finish()
        flush()
        for note in writer.notes { Console.note(note) }
        try outcome.get()
        if let failure {
            self.failure = nil
            throw ShellSession.Failure.file(failure)
        }
        return writer.count
    }

    /// Lines that are not values, such as help.
    func say(_ text: String) {
        add(text + "\n")
        flush()
    }

    private func add(_ text: String) {
        buffer += text
        if isTerminal || buffer.utf8.count >= Self.bufferByteCountMax { flush() }
    }

    private func flush() {
        if failure == nil, let number = Descriptor.write(buffer, to: descriptor) {
            failure = "cannot write the result: \(String(cString: strerror(number)))"
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// COLUMNS where it is set, else what the terminal says; a file has no width.
    private var width: Int? {
        if let columns = NodeOptions.environment("COLUMNS").flatMap(Int.init), columns > 0 { return columns }
        return Terminal.width(of: descriptor)
    }
}
