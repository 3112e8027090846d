import CTerminal
import Glibc
import NexaBlockingClient

/// What the shell needs of the terminal beside lines.
enum Terminal {
    /// Columns; nil where the descriptor is no terminal or does not know.
    static func width(of descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// From now on Ctrl-C does not end the process but is taken by whoever waits for an answer or a line.
    static func catchInterrupts() -> Interruption? {
        let signals = [SIGINT, SIGWINCH, SIGCONT]
        let descriptor = nexa_signal_catch(signals, Int32(signals.count))
        guard descriptor >= 0 else { return nil }
        return Interruption(descriptor: descriptor) {
            var isInterrupted = false
            while case let signal = nexa_signal_take(), signal != 0 { isInterrupted = isInterrupted || signal == SIGINT }
            return isInterrupted
        }
    }
}
