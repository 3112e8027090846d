import Glibc

/// Looks for what a right answer must contain. For the sample only: it allocates and searches byte by byte.
enum AnswerCheck {
    static func contains(_ bytes: UnsafeRawPointer, _ count: Int, emailOf id: UInt64) -> Bool {
        contains(bytes, count, "user" + BenchRecord.serialText(of: id) + "@example.com")
    }

    static func contains(_ bytes: UnsafeRawPointer, _ count: Int, _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { wanted in
            var at = 0
            while at + wanted.count <= count, let found = memchr(bytes + at, Int32(wanted[0]), count - at) {
                at = UnsafeRawPointer(found) - bytes
                if at + wanted.count <= count && memcmp(bytes + at, wanted.baseAddress!, wanted.count) == 0 { return true }
                at += 1
            }
            return false
        }
    }
}
