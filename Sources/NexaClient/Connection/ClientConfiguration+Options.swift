// What each option of an address means. The table with defaults stands in clients/conformance/README.md.

extension ClientConfiguration {
    /// Applies one option; false when nobody knows it.
    mutating func apply(option name: String, _ value: String, isSecure: Bool) throws(NexaError) -> Bool {
        switch name {
        case "readPreference": readPreference = try Self.word(name, value)
        case "readConcern": readConcern = try Self.word(name, value)
        case "durability": durability = try Self.word(name, value)
        case "maxStalenessSeconds":
            let seconds = try Self.number(name, value)
            staleness = seconds == 0 ? nil : .seconds(seconds)
        case "localThresholdMS": localThreshold = .milliseconds(try Self.number(name, value))
        case "timeoutMS":
            let milliseconds = try Self.number(name, value)
            timeout = milliseconds == 0 ? nil : .milliseconds(milliseconds)
        case "serverSelectionTimeoutMS": serverSelectionTimeout = .milliseconds(try Self.number(name, value))
        case "connectTimeoutMS": connectTimeout = .milliseconds(try Self.number(name, value))
        case "wtimeoutMS":
            let milliseconds = try Self.number(name, value)
            writeConcernTimeout = milliseconds == 0 ? nil : .milliseconds(milliseconds)
        case "poolSize": poolSize = try Self.number(name, value, in: 1...1000)
        case "maxQueue": queueLimit = try Self.number(name, value, in: 1...Int(Int32.max))
        case "retryReads": retriesReads = try Self.flag(name, value)
        case "retryWrites": retriesWrites = try Self.flag(name, value)
        case "w": writeConcern = value == "majority" ? .majority : .nodes(try Self.number(name, value, in: 1...Int(Int32.max)))
        case "compress":
            guard value == "lz4" || value == "none" else { throw ConnectionString.bad("option compress is lz4 or none") }
            compresses = value == "lz4"
        case "appName": applicationName = value
        case "tls":
            let wanted = try Self.flag(name, value)
            guard wanted || !isSecure else { throw ConnectionString.bad("nexadbs:// and tls=false contradict each other") }
            if wanted, tls == nil { tls = TLSSettings() }
        case "tlsInsecure": _ = try Self.flag(name, value)
        case "tlsCAFile", "tlsCertFile", "tlsKeyFile": break
        default: return false
        }
        return true
    }

    private static func word<Word: RawRepresentable & CaseIterable>(
        _ name: String, _ value: String
    ) throws(NexaError) -> Word where Word.RawValue == String {
        guard let word = Word(rawValue: value) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConnectionString.bad("option \(name) is one of \(known)")
        }
        return word
    }

    private static func number(
        _ name: String, _ value: String, in range: ClosedRange<Int> = 0...Int(Int32.max)
    ) throws(NexaError) -> Int {
        guard value.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(value), range.contains(number) else {
            throw ConnectionString.bad("option \(name) is a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func flag(_ name: String, _ value: String) throws(NexaError) -> Bool {
        switch value {
        case "true": true
        case "false": false
        default: throw ConnectionString.bad("option \(name) is true or false")
        }
    }
}

extension TLSSettings {
    mutating func apply(option name: String, _ value: String) {
        switch name {
        case "tlsCAFile": authorityFile = value
        case "tlsCertFile": certificateFile = value
        case "tlsKeyFile": keyFile = value
        case "tlsInsecure": isInsecure = value == "true"
        default: break
        }
    }
}
