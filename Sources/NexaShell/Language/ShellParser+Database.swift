/// What begins with `db`: calls on the database, and the way to a collection.
extension ShellParser {
    mutating func database() throws(TextProblem) -> ShellCommand {
        if scanner.next == UInt8(ascii: "[") {
            try scanner.expect("[", "")
            let collection = try scanner.quoted()
            try scanner.expect("]", "after the name of the collection")
            return try collectionCall(collection)
        }
        guard scanner.next == UInt8(ascii: ".") else { return .currentDatabase }
        try scanner.expect(".", "")
        let start = scanner.position
        guard let word = scanner.name() else { throw scanner.problem("expected the name of a collection after 'db.'") }
        if scanner.next != UInt8(ascii: "(") { return try collectionCall(try restOfName(word)) }
        let arguments = try arguments()
        switch word {
        case "createCollection":
            return .createCollection(try text(arguments, 0, "the name of the collection"), arguments.value(1))
        case "getCollection": return try collectionCall(try text(arguments, 0, "the name of the collection"))
        case "dropDatabase": return .dropDatabase
        case "stats": return .databaseStats
        case "getCollectionNames": return .showCollections
        default: throw unknown("method of a database", word, among: ShellWords.databaseMethods, at: start)
        }
    }

    /// Names of collections may have dots: all but the last part, which is the method.
    private mutating func restOfName(_ first: String) throws(TextProblem) -> String {
        var name = first
        while true {
            let before = scanner.position
            guard scanner.take("."), let part = scanner.name() else {
                throw scanner.problem("expected '.' and a method, as in db.\(name).find()")
            }
            if scanner.next == UInt8(ascii: "(") {
                scanner.position = before
                return name
            }
            name += "." + part
        }
    }
}
