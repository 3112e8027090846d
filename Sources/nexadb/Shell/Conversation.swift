import ArgumentParser
import NexaBlockingClient
import NexaShell

/// A person at the prompt: lines become statements, failures are told and forgotten, Ctrl-C takes back what runs or what was typed.
struct Conversation {
    private var session: ShellSession
    private let interruption: Interruption?
    private let editor: LineEditor
    private var history = HistoryFile()

    /// The database that the prompt names, where completion can ask for it.
    private final class Place {
        var database: String
        init(_ database: String) { self.database = database }
    }
    private let place: Place

    init(_ session: ShellSession, _ target: ShellTarget) {
        self.session = session
        let (place, vocabulary) = (Place(session.database), NodeVocabulary(target))
        self.place = place
        interruption = Terminal.catchInterrupts()
        if let interruption { session.connection.heed(interruption) }
        editor = LineEditor(interruption, history: history.lines) { at in
            Completion.candidates(at: at, vocabulary.words(for: at, database: place.database))
        }
    }

    /// Until exit or the end of the input.
    mutating func run() {
        while let text = nextStatement() {
            if let line = HistoryLine.of(text) {
                editor.remember(line)
                history.append(line)
            }
            do throws(ExitCode) {
                if try !session.execute(text) { return }
            } catch {
                // Told already; a prompt has no exit code.
            }
            place.database = session.database
        }
    }

    /// Lines until the brackets close; nil at the end.
    private func nextStatement() -> String? {
        // What came while results were printed is too late for them.
        _ = interruption?.take()
        let prompt = session.database + "> "
        let continued = String(repeating: ".", count: prompt.count - 1) + " "
        var lines = StatementLines()
        while true {
            switch editor.line(prompt: lines.isEmpty ? prompt : continued) {
            case .line(let line): if lines.add(line) { return lines.text }
            case .interrupted: lines = StatementLines()
            case .ended: return lines.isEmpty ? nil : lines.text
            }
        }
    }
}
