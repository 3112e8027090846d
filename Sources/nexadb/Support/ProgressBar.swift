/// A line on stderr that says how far something is, at a terminal, where the next one is drawn over it.
enum ProgressBar {
    private static let width = 20

    /// `share`: of the whole, where that is known. The line is cut to the terminal: what breaks cannot be drawn over.
    static func draw(_ text: String, share: Double? = nil) {
        let line = share.map { bar($0) + " " + text } ?? text
        Console.prompt("\r\u{1B}[K" + line.prefix((Terminal.width(of: 2) ?? 80) - 1))
    }

    /// Takes it away, so that other lines stand alone.
    static func clear() { Console.prompt("\r\u{1B}[K") }

    private static func bar(_ share: Double) -> String {
        let full = Int(min(1, share) * Double(width))
        return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: width - full) + "]"
    }
}
