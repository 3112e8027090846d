import NexaWire

/// The words of the shell's language: what the parser knows, what completion offers and what a misspelt word may have meant.
package enum ShellWords {
    package static let commands = ["db", "exit", "help", "it", "ping", "quit", "show", "status", "use"]
    package static let showable = ["collections", "databases", "users"]
    package static let dotCommands = [
        "exit", "help", "max_staleness", "mode", "output", "quit", "read", "read_concern", "timer",
    ]
    package static let databaseMethods = ["createCollection", "dropDatabase", "getCollection", "getCollectionNames", "stats"]
    package static let collectionMethods = [
        "count", "countDocuments", "delete", "deleteOne", "drop", "find", "findOne", "get", "insert", "insertMany", "insertOne",
        "put", "remove", "stats", "update", "updateOne", "vectorSearch",
    ]
    package static let chainMethods = ["count", "explain", "limit", "pretty", "project", "skip", "sort"]
    package static let conditions = ["$eq", "$exists", "$gt", "$gte", "$in", "$lt", "$lte", "$ne", "$nin", "$not"]
    package static let connectives = ["$and", "$nor", "$or"]
    package static let readConcerns = ["committed", "linearizable", "local"]
    package static let messages = MessageType.allCases.filter { $0.rawValue < 0x60 && $0 != .cursorCredit }.map(\.name)

    /// The word of `words` that `typed` probably meant: at most two slips away, one in a short word.
    package static func nearest(to typed: String, among words: [String]) -> String? {
        let slipsMax = typed.count <= 3 ? 1 : 2
        let near = words.map { ($0, slips(Array(typed.lowercased()), Array($0.lowercased()))) }.filter { $0.1 <= slipsMax }
        return near.min { $0.1 < $1.1 }?.0
    }

    /// Letters to insert, remove, replace or swap with their neighbour.
    private static func slips(_ a: [Character], _ b: [Character]) -> Int {
        var rows = [Array(0...b.count)]
        for (i, letter) in a.enumerated() {
            var row = [i + 1]
            for (j, other) in b.enumerated() {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (letter == other ? 0 : 1))
                if i > 0, j > 0, letter == b[j - 1], a[i - 1] == other { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
