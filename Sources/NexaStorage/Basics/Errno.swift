import Glibc

/// The system's words for an error number, with the number: "No space left on device (errno 28)".
package func describeErrno(_ number: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        buffer.initialize(repeating: 0)
        guard strerror_r(number, buffer.baseAddress!, buffer.count - 1) == 0 else { return "errno \(number)" }
        return "\(String(cString: buffer.baseAddress!)) (errno \(number))"
    }
}
