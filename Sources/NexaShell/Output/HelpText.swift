/// What `help` says. Lines of at most 78 characters, so that no terminal breaks them.
package enum HelpText {
    package static let topics = sections.map(\.name).sorted()

    /// The text about `topic`; without one the overview; nil for a topic that there is not.
    package static func text(_ topic: String?) -> String? {
        guard let topic else { return overview }
        return sections.first { $0.name == topic }?.text
    }

    package static let overview = """
        show databases | show collections | show users | use NAME | db
        db.createCollection("users")   db.stats()   db.dropDatabase()
        db.users.insert({name: "Ann", age: 30})       an array inserts many
        db.users.find({age: {$gte: 25}}).sort({age: -1}).limit(5)
            also .skip(n), .project({name: 1}), .count() and .explain()
        db.users.findOne({name: "Ann"})   db.users.get("KEY")
        db.users.update("KEY", {age: 31})             changes the given fields
        db.users.put("KEY", {...})                    writes the whole document
        db.users.delete("KEY")   db.users.count({age: 31})
        db.users.vectorSearch([0.1, 0.2], {limit: 5})
        db.users.stats()   db.users.drop()
        ping | status | it (more of the last find) | exit
        .mode box|json|jsonl|csv|line|markdown   .timer on|off
        .read FILE   .output FILE   .help TOPIC
        READ {collection: "users", key: "KEY"}        any message by its name

        Topics: changes, filters, keys, modes, reads, values.
        It looks like the MongoDB shell and is not JavaScript.
        """

    private static let sections: [(name: String, text: String)] = [
        (
            "changes",
            """
            insert(DOCUMENT), insert([DOCUMENTS])  all or nothing
            put(KEY, DOCUMENT)                     whether there was one or not
            update(KEY, {field: value})            replaces the fields that it names
            delete(KEY)

            KEY is the _id, or {_id: KEY}. What stands behind goes into the request
            as it is:  update("a", {n: 1}, {upsert: true, if_match: 7})
                       insert({n: 1}, {w: "majority", durability: "os"})
            """
        ),
        (
            "filters",
            """
            {age: 30}  {age: {$gte: 18, $lt: 65}}  {"address.city": "Rome"}
            {tags: {$in: ["a", "b"]}}  {name: {$exists: true}}  {a: {$not: {$gt: 1}}}
            {$or: [{vip: true}, {age: {$ne: 3}}]}  also $and, $nor, $eq, $lte, $nin
            """
        ),
        (
            "keys",
            """
            Tab        completes commands, collections, methods, fields, operators
            Up, Down   the history        Ctrl-R  searches in it
            Ctrl-C     cancels the request that runs, or clears the line
            Ctrl-D     leaves, on an empty line
            Ctrl-A, Ctrl-E, Ctrl-K, Ctrl-W: begin, end, cut to the end, cut a word

            A statement goes on over lines until its brackets are closed.
            """
        ),
        (
            "modes",
            """
            .mode json      laid out for people (the default at a terminal)
            .mode jsonl     one value a line (the default elsewhere)
            .mode box       tables, cut to the width of the terminal
            .mode line      a field a line
            .mode csv       with a line of names
            .mode markdown  tables of Markdown
            .output FILE    results go to the file; .output alone: back again
            .timer on       says how long each statement took
            """
        ),
        (
            "reads",
            """
            .read_concern local|committed|linearizable|off
                committed: what no later leader can lack
                linearizable: every write that was acknowledged before
            .max_staleness MILLISECONDS|off
                a follower that may be further behind refuses with STALE_READ
            """
        ),
        (
            "values",
            """
            Keys need no quotes, texts take "..." or '...', comments begin with
            // or #. Numbers: 1, -2, 0x1F, 1.5, 1e3, NaN, Infinity.
            {$date: "2026-11-22T14:22:46Z"}  {$binary: "BASE64"}
            {$ext: {type: 7, data: "BASE64"}}  {$double: "NaN"}
            """
        ),
    ]
}
