/// What requests are called in problems and logs: the client's `X-Request-Id` where it is one; else a number that is unique to this process,
/// behind a beginning that is random once. A random one each would cost a system call each.

import HTTPTypes
import Synchronization

final class RequestIDs: Sendable {
    private let prefix = String(UInt64.random(in: .min ... .max), radix: 16)
    private let count = Atomic<UInt64>(0)

    func id(of fields: HTTPFields) -> String {
        if let id = fields[.requestID], (1...128).contains(id.utf8.count), id.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            return id
        }
        return prefix + "-" + String(count.wrappingAdd(1, ordering: .relaxed).newValue, radix: 16)
    }
}
