/// The parameters behind the `?` of a request. A parameter that is given twice, or is of the wrong type, is an error that names it.

import NexaWire

package struct QueryParameters {
    private var values: [String: String] = [:]

    /// Parameters beyond this many are refused.
    package static let countMax = 64

    package init(_ query: String?) throws(Problem) {
        guard let query, !query.isEmpty else { return }
        let parts = query.split(separator: "&")
        guard parts.count <= Self.countMax else {
            throw Problem(.badRequest, "A request has at most \(Self.countMax) parameters")
        }
        for part in parts {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentCoding.decode(pair[0].utf8, plusIsSpace: true),
                let value = pair.count == 1 ? "" : PercentCoding.decode(pair[1].utf8, plusIsSpace: true)
            else { throw Problem(.badRequest, "The query string is not percent-encoded UTF-8") }
            guard values.updateValue(value, forKey: name) == nil else { throw Self.bad(name, "is given twice") }
        }
    }

    package func text(_ name: String) -> String? { values[name] }

    package func flag(_ name: String) throws(Problem) -> Bool? {
        switch values[name] {
        case nil: nil
        case "true", "1", "": true
        case "false", "0": false
        default: throw Self.bad(name, "is true or false")
        }
    }

    /// A whole number from 0 on.
    package func count(_ name: String) throws(Problem) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), number >= 0, text.utf8.first != UInt8(ascii: "+") else {
            throw Self.bad(name, "is a whole number that is not negative")
        }
        return number
    }

    /// The first of several names that stands there, for names that mean the same.
    func first(_ names: String...) -> (name: String, text: String)? {
        for name in names {
            if let text = values[name] { return (name, text) }
        }
        return nil
    }

    static func bad(_ name: String, _ what: String) -> Problem {
        Problem(.badRequest, "The parameter '\(name)' \(what)", details: [.init("parameter", .string(name))])
    }
}
