import Glibc

/// How far long work is, on stderr: a bar that is drawn over at a terminal, a line every few seconds elsewhere when it is asked for.
/// Confined to one thread.
final class ProgressLine {
    private enum Style {
        case none, bar, lines
    }

    private static let lineSeconds = 5.0
    private static let barSeconds = 0.2

    private let style: Style
    private var lastShown: Double?
    private var isDrawn = false

    init(isWanted: Bool, isQuiet: Bool = false) {
        style = isQuiet ? .none : Console.isErrorTerminal ? .bar : isWanted ? .lines : .none
    }

    /// - Parameters:
    ///   - share: of the whole, where that is known.
    ///   - isEnd: shows it however short ago the last one was.
    func show(at seconds: Double, share: Double?, isEnd: Bool = false, text: @autoclosure () -> String) {
        guard style != .none else { return }
        guard isEnd || seconds - (lastShown ?? 0) >= (style == .bar ? Self.barSeconds : Self.lineSeconds) else { return }
        lastShown = seconds
        if style == .bar {
            ProgressBar.draw(text(), share: share)
            isDrawn = true
        } else {
            Console.note(text())
        }
    }

    /// Takes the bar away, so that other lines stand alone.
    func clear() {
        if isDrawn { ProgressBar.clear() }
        isDrawn = false
    }
}
