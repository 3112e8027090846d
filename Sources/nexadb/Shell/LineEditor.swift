import CTerminal
import Glibc
import NexaBlockingClient
import NexaShell

/// Lines typed at a prompt, with arrow keys, a history and completion by libedit where it is installed (Debian: libedit2), and as the
/// terminal gives them where it is not.
///
/// One editor a process, on the main thread: there is one terminal.
final class LineEditor {
    enum Input {
        case line(String)
        /// Ctrl-C: what was typed is given up.
        case interrupted
        case ended
    }

    private var edit: OpaquePointer?
    private let candidates: (CompletionPlace) -> [Completion.Candidate]

    init(_ interruption: Interruption?, history: [String], candidates: @escaping (CompletionPlace) -> [Completion.Candidate]) {
        self.candidates = candidates
        let context = Unmanaged.passUnretained(self).toOpaque()
        edit = nexa_edit_open(
            "nexadb", interruption?.descriptor ?? -1, Int32(HistoryFile.lineCountMax),
            { context, edit, before in
                Unmanaged<LineEditor>.fromOpaque(context!).takeUnretainedValue().complete(edit!, String(cString: before!))
            }, context)
        for line in history { remember(line) }
    }

    deinit {
        if let edit { nexa_edit_close(edit) }
    }

    func line(prompt: String) -> Input {
        guard let edit else {
            Console.prompt(prompt)
            return readLine(strippingNewline: true).map { .line($0) } ?? .ended
        }
        var text: UnsafePointer<CChar>?
        // The prompt is drawn again whenever the line is: it lives as long as the call.
        let end = prompt.withCString { nexa_edit_line(edit, $0, &text) }
        switch Int(end) {
        case NEXA_EDIT_LINE: return .line(String(cString: text!))
        case NEXA_EDIT_INTERRUPTED:
            Console.note("^C")
            return .interrupted
        default:
            Console.note("")
            return .ended
        }
    }

    /// Keeps a statement for the arrow keys.
    func remember(_ line: String) {
        if let edit { nexa_edit_remember(edit, line) }
    }

    /// The Tab key: as much as is sure is put behind the word; where nothing is, the choice is shown.
    private func complete(_ edit: OpaquePointer, _ before: String) {
        let place = CompletionPlace(before: before)
        let candidates = candidates(place)
        let insertion = Completion.insertion(candidates, typed: place.typed)
        if !insertion.isEmpty {
            nexa_edit_insert(edit, insertion)
        } else if candidates.count > 1 {
            nexa_edit_show(edit, ColumnLayout.text(candidates.map(\.text), width: Terminal.width(of: 1) ?? 80))
        }
    }
}
