/// The fields of a request about users, checked. These requests are rare: their payload is small and decoded as a whole, in the work pool.

import NexaDocuments
import NexaWire

struct UserRequest {
    private let map: MessagePackValue

    /// Room for a user with `databaseCountMax` databases of the longest names.
    private static let payloadByteCountMax = 256 << 10

    /// TOO_LARGE before anything is copied; throws `wouldBlock` where time may not be taken.
    init(_ payload: UnsafeRawBufferPointer, mayBlock: Bool) throws(DocumentError) {
        guard payload.count <= Self.payloadByteCountMax else {
            throw DocumentError(
                .tooLarge, "A request about users has at most \(Self.payloadByteCountMax) bytes",
                details: [.init("limit", .int(Int64(Self.payloadByteCountMax)))])
        }
        if !mayBlock { throw .wouldBlock }
        map = payload.isEmpty ? .map([]) : (try? MessagePackValue(decoding: payload)) ?? .null
        guard map.mapValue != nil else {
            throw DocumentError(.badPayload, "The payload of a request about users is a map of fields")
        }
    }

    func username() throws(DocumentError) -> String {
        guard let name = map["username"]?.stringValue, !name.isEmpty else {
            throw Self.bad("username", "Missing 'username' field")
        }
        return name
    }

    func password(_ field: String) throws(DocumentError) -> [UInt8] {
        guard let text = map[field]?.stringValue else { throw Self.bad(field, "Missing '\(field)' field") }
        let limits = PasswordHash.passwordByteCounts
        guard limits.contains(text.utf8.count) else {
            throw Self.bad(field, "A password has \(limits.lowerBound) to \(limits.upperBound) bytes")
        }
        return Array(text.utf8)
    }

    func optionalPassword(_ field: String) throws(DocumentError) -> [UInt8]? {
        guard let value = map[field], value != .null else { return nil }
        return try password(field)
    }

    func role() throws(DocumentError) -> Role? {
        guard let value = map["role"], value != .null else { return nil }
        guard let role = value.stringValue.flatMap(Role.init) else {
            throw Self.bad("role", "Invalid role. Must be one of: admin, write, read, replication")
        }
        return role
    }

    /// The databases that the user is confined to; an empty map lifts that.
    func databases(for role: Role) throws(DocumentError) -> [String: Role]? {
        guard let value = map["databases"], value != .null else { return nil }
        let meaning = "'databases' is a map of names to \"read\" or \"write\""
        guard let entries = value.mapValue, entries.count <= Self.databaseCountMax else { throw Self.bad("databases", meaning) }
        var databases: [String: Role] = [:]
        for entry in entries {
            guard var name = entry.key.stringValue, let role = entry.value.stringValue.flatMap(Role.init),
                role == .read || role == .write,
                name.withUTF8({ NameRules.isValidName(UnsafeRawBufferPointer($0)) })
            else { throw Self.bad("databases", meaning) }
            databases[name] = role
        }
        if !databases.isEmpty && (role == .admin || role == .replication) {
            throw Self.bad("databases", "The role \(role.rawValue) cannot be confined to databases")
        }
        return databases
    }

    func flag(_ field: String) throws(DocumentError) -> Bool {
        guard let value = map[field], value != .null else { return false }
        guard let flag = value.boolValue else { throw Self.bad(field, "'\(field)' must be true or false") }
        return flag
    }

    private static let databaseCountMax = 1_000

    private static func bad(_ field: String, _ message: String) -> DocumentError {
        DocumentError(.badRequest, message, details: [.init("field", .string(field))])
    }
}
