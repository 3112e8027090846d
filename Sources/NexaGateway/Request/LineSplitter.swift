/// Cuts a stream of bytes into lines, in pieces of any size. Blank lines are no lines; a carriage return at the end of one is not part of it.

import NIOCore

package struct LineSplitter {
    /// What was taken in and is not a whole line yet.
    private var rest = ByteBuffer()
    /// No line ends before this index of `rest`.
    private var seen = 0
    private var isFinished = false

    package init() {}

    package mutating func append(_ bytes: ByteBuffer) {
        var bytes = bytes
        if rest.readableBytes == 0 {
            rest = bytes
            seen = rest.readerIndex
        } else {
            // The lines that were taken make room: what is kept is the beginning of one line, and one piece.
            seen -= rest.readerIndex
            rest.discardReadBytes()
            rest.writeBuffer(&bytes)
        }
    }

    /// Bytes of memory held.
    package var capacity: Int { rest.capacity }

    /// Nothing more comes: what is left is the last line.
    package mutating func finish() { isFinished = true }

    /// Bytes of the line that is not whole.
    package var partByteCount: Int { rest.readableBytes }

    package mutating func next() -> ByteBuffer? {
        while rest.readableBytes > 0 {
            let view = rest.readableBytesView
            let end = view[max(seen, view.startIndex)...].firstIndex(of: UInt8(ascii: "\n"))
            guard let end = end ?? (isFinished ? view.endIndex : nil) else {
                seen = view.endIndex
                return nil
            }
            var line = rest.readSlice(length: end - view.startIndex) ?? ByteBuffer()
            rest.moveReaderIndex(forwardBy: min(1, rest.readableBytes))
            seen = rest.readerIndex
            if line.readableBytesView.last == UInt8(ascii: "\r") { line.moveWriterIndex(to: line.writerIndex - 1) }
            if line.readableBytesView.contains(where: { $0 != 0x20 && $0 != 0x09 }) { return line }
        }
        return nil
    }
}
