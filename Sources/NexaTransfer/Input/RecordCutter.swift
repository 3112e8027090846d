import CSupport
import Glibc
import NexaWire

/// Finds where records end, without understanding them: the part of reading that one thread does for all.
///
/// Invariant: a cut depends on the bytes from the record's start on and, in a JSON array, on whether it is the first one. So the input can be
/// cut again from the end of any record and gives the same records, which is what resuming and repeating rest on.
package struct RecordCutter {
    package enum Shape: Equatable {
        case lines
        case delimited(by: UInt8)
        case values
        case arrayElements
        case messagePack
    }

    package enum Cut: Equatable {
        /// The bytes of a record, and where the next one begins. No bytes: a blank line.
        case record(Range<Int>, next: Int)
        /// The record goes on behind the window.
        case needsMore
        case end
        /// Where records begin is lost from here on.
        case broken(String)
    }

    let shape: Shape
    /// Whether the next record is the first of all.
    var isFirst: Bool

    package init(_ shape: Shape, isFirst: Bool) {
        self.shape = shape
        self.isFirst = isFirst
    }

    /// The record that begins at `start`. `isWhole`: the input ends with the window.
    package mutating func next(in window: UnsafeRawBufferPointer, from start: Int, isWhole: Bool) -> Cut {
        let scan = Scan(window: window, isWhole: isWhole)
        let cut =
            switch shape {
            case .lines: scan.line(from: start)
            case .delimited(let delimiter): scan.delimited(from: start, by: delimiter)
            case .values: scan.value(from: start)
            case .arrayElements: scan.element(from: start, isFirst: isFirst)
            case .messagePack: scan.messagePack(from: start)
            }
        if case .record = cut { isFirst = false }
        return cut
    }
}

private struct Scan {
    typealias Cut = RecordCutter.Cut

    let window: UnsafeRawBufferPointer
    let isWhole: Bool

    // MARK: Lines

    func line(from start: Int) -> Cut {
        if let end = find(UInt8(ascii: "\n"), from: start) { return record(start, lineEnd: end) }
        return remainder(from: start)
    }

    /// A line, or several where quotes hold the line breaks.
    func delimited(from start: Int, by delimiter: UInt8) -> Cut {
        var at = start
        var isFieldStart = true
        while at < window.count {
            let byte = window[at]
            if byte == UInt8(ascii: "\n") { return record(start, lineEnd: at) }
            at += 1
            if isFieldStart && byte == UInt8(ascii: "\"") {
                guard let behind = skipQuoted(from: at) else { return remainder(from: start) }
                at = behind
                isFieldStart = false
            } else {
                isFieldStart = byte == delimiter
            }
        }
        return remainder(from: start)
    }

    /// Behind the closing quote; nil when it is not in the window, or when what follows it would tell and is not there yet.
    private func skipQuoted(from start: Int) -> Int? {
        var at = start
        while let quote = find(UInt8(ascii: "\""), from: at) {
            at = quote + 1
            if at == window.count { return isWhole ? at : nil }
            if window[at] != UInt8(ascii: "\"") { return at }
            at += 1
        }
        return nil
    }

    private func record(_ start: Int, lineEnd end: Int) -> Cut { .record(withoutReturn(start, end), next: end + 1) }

    private func withoutReturn(_ start: Int, _ end: Int) -> Range<Int> {
        start..<(end > start && window[end - 1] == UInt8(ascii: "\r") ? end - 1 : end)
    }

    /// What stands in front of the input's end is a record like any other; whether it is whole its parser says.
    private func remainder(from start: Int) -> Cut {
        if !isWhole { return .needsMore }
        return start == window.count ? .end : .record(withoutReturn(start, window.count), next: window.count)
    }

    private func find(_ byte: UInt8, from start: Int) -> Int? {
        guard start < window.count, let base = window.baseAddress,
            let place = memchr(base + start, Int32(byte), window.count - start)
        else { return nil }
        return UnsafeRawPointer(place) - base
    }

    // MARK: JSON

    func value(from start: Int) -> Cut {
        let at = skipSpace(from: start)
        if at == window.count { return isWhole ? .end : .needsMore }
        return value(at: at)
    }

    func element(from start: Int, isFirst: Bool) -> Cut {
        var at = skipSpace(from: start)
        if at < window.count && window[at] == UInt8(ascii: "]") {
            at = skipSpace(from: at + 1)
            if at < window.count { return .broken("nothing may follow the array") }
            return isWhole ? .end : .needsMore
        }
        if !isFirst && at < window.count {
            guard window[at] == UInt8(ascii: ",") else { return .broken("',' or ']' is missing") }
            at = skipSpace(from: at + 1)
        }
        if at == window.count { return isWhole ? .broken("the array does not end") : .needsMore }
        return value(at: at)
    }

    private func value(at start: Int) -> Cut {
        let end =
            switch window[start] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): containerEnd(from: start)
            case UInt8(ascii: "\""): stringEnd(from: start + 1)
            default: wordEnd(from: start)
            }
        guard let end else { return isWhole ? .record(start..<window.count, next: window.count) : .needsMore }
        return end == start ? .broken("a value cannot begin here") : .record(start..<end, next: end)
    }

    private func containerEnd(from start: Int) -> Int? {
        var at = start
        var depth = 0
        while at < window.count {
            switch window[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 { return at + 1 }
            case UInt8(ascii: "\""):
                guard let end = stringEnd(from: at + 1) else { return nil }
                at = end
                continue
            default: break
            }
            at += 1
        }
        return nil
    }

    private func stringEnd(from start: Int) -> Int? {
        var at = start
        while true {
            at = JSONBytes.firstSpecial(window, from: at)
            guard at < window.count else { return nil }
            switch window[at] {
            case UInt8(ascii: "\""): return at + 1
            case UInt8(ascii: "\\"): at += 2
            default: at += 1
            }
        }
    }

    private func wordEnd(from start: Int) -> Int? {
        var at = start
        while at < window.count {
            switch window[at] {
            case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "{"),
                UInt8(ascii: "["), UInt8(ascii: "\""):
                return at
            default: at += 1
            }
        }
        return isWhole ? at : nil
    }

    private func skipSpace(from start: Int) -> Int {
        var at = start
        while at < window.count, window[at] == 0x20 || (0x09...0x0A).contains(window[at]) || window[at] == 0x0D { at += 1 }
        return at
    }

    // MARK: MessagePack

    func messagePack(from start: Int) -> Cut {
        if start == window.count { return isWhole ? .end : .needsMore }
        let byteCount = nexa_mp_skip(window.baseAddress! + start, window.count - start)
        if byteCount > 0 { return .record(start..<start + byteCount, next: start + byteCount) }
        return isWhole ? .broken("the value is cut off, or is no MessagePack") : .needsMore
    }
}
