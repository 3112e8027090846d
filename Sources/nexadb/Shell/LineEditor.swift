import Glibc

/// Lines typed at a prompt, with arrow keys and the history of this session, by libedit where it is installed (Debian: libedit2) and
/// as the terminal gives them where it is not. The library is looked for when the first line is read: the binary does not need it.
///
/// One editor a process, on the main thread: libedit has global state.
struct LineEditor {
    private typealias ReadLine = @convention(c) (UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>?
    private typealias AddHistory = @convention(c) (UnsafePointer<CChar>) -> Int32
    private typealias Initialize = @convention(c) () -> Int32
    private typealias PrepareTerminal = @convention(c) (Int32) -> Void

    private let edit: (readLine: ReadLine, addHistory: AddHistory, prepareTerminal: PrepareTerminal)?

    init() {
        // A terminal that cannot move its cursor is not edited.
        let terminal = getenv("TERM").map { String(cString: $0) } ?? "dumb"
        guard terminal != "dumb", let library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL),
            let readLine = dlsym(library, "readline"), let addHistory = dlsym(library, "add_history"),
            let initialize = dlsym(library, "rl_initialize"), let prepareTerminal = dlsym(library, "rl_prep_terminal")
        else {
            edit = nil
            return
        }
        // So that a letter of several bytes is one step of the cursor.
        setlocale(LC_CTYPE, "")
        guard unsafeBitCast(initialize, to: Initialize.self)() == 0 else {
            edit = nil
            return
        }
        edit = (
            unsafeBitCast(readLine, to: ReadLine.self), unsafeBitCast(addHistory, to: AddHistory.self),
            unsafeBitCast(prepareTerminal, to: PrepareTerminal.self)
        )
    }

    /// The next line; nil at the end of the input.
    func line(prompt: String) -> String? {
        guard let edit else {
            Console.prompt(prompt)
            return readLine(strippingNewline: true)
        }
        // Before the prompt is shown: what is typed at it must not meet a terminal that still takes ^D and the like itself.
        edit.prepareTerminal(1)
        guard let line = edit.readLine(prompt) else { return nil }
        defer { free(line) }
        return String(cString: line)
    }

    /// Keeps a statement for the arrow keys. Lines of one statement come back as one.
    func remember(_ statement: String) {
        guard let edit, statement.contains(where: { !$0.isWhitespace }) else { return }
        _ = edit.addHistory(String(statement.map { $0.isNewline ? " " : $0 }))
    }
}
