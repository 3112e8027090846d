import Testing

/// `nexadb shell`, `ping` and `status` as a person or script runs them.
@Suite struct ShellTests {
    private func shell(_ node: StandInNode, _ arguments: String..., input: String = "") throws -> Tool.Outcome {
        try Tool.run(arguments: ["shell", "--port", "\(node.port)"] + arguments, input: input)
    }

    @Test func runsCommandsFromOptionsInOrder() throws {
        let node = StandInNode()
        defer { node.stop() }
        let outcome = try shell(
            node, "-e", #"db.users.insert({_id: "a", n: 1})"#, "-e", #"db.users.insert([{_id: "b", n: 2}, {_id: "c"}])"#,
            "-e", #"db.users.get("b"); db.users.count()"#)
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(
            outcome.output == """
                {"_id": "a", "n": 1}
                {"ids": ["b", "c"], "count": 2}
                {"_id": "b", "n": 2}
                3

                """)
    }

    @Test func runsAScriptFromStandardInput() throws {
        let node = StandInNode()
        defer { node.stop() }
        let outcome = try shell(node, input: "// fill\ndb.users.insert({_id: 'x',\n  deep: {list: [1, 2]}})\ndb.users.find()\n")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.split(separator: "\n").last == #"{"_id": "x", "deep": {"list": [1, 2]}}"#)
    }

    @Test func theFirstFailureEndsAScriptWithItsCode() throws {
        let node = StandInNode()
        defer { node.stop() }
        let missing = try shell(node, "-e", "db.users.get('nobody')", "-e", "ping")
        #expect(missing.code == 3 && missing.output.isEmpty)
        let twice = try shell(node, "-e", "db.users.insert({_id: 'a'}); db.users.insert({_id: 'a'})")
        #expect(twice.code == 4)
        let refused = try shell(node, "-e", "AGGREGATE {}")
        #expect(refused.code == 1 && refused.errors.contains("UNKNOWN_TYPE"))
    }

    @Test func aTypingMistakeIsPointedAt() throws {
        let node = StandInNode()
        defer { node.stop() }
        let outcome = try shell(node, "-e", "db.users.find({age: })")
        #expect(outcome.code == 2)
        #expect(outcome.errors.contains("                    ^ expected a value"))
    }

    @Test func showsNames() throws {
        let node = StandInNode()
        defer { node.stop() }
        #expect(try shell(node, "--format", "pretty", "-e", "show collections").output == "bench\nusers\n")
    }

    @Test func pingAnswersWhenSomebodyIsThere() throws {
        let node = StandInNode()
        let present = try Tool.run("ping", "--port", "\(node.port)")
        #expect(present.code == 0 && present.output.hasPrefix("PONG from 127.0.0.1:\(node.port)"))
        node.stop()
        let absent = try Tool.run("ping", "--port", "\(node.port)", "--wait", "0.3")
        #expect(absent.code == 5 && absent.errors.contains("cannot connect"))
    }

    @Test func statusIsATable() throws {
        let node = StandInNode()
        defer { node.stop() }
        let outcome = try Tool.run("status", "--port", "\(node.port)")
        #expect(outcome.code == 0)
        #expect(outcome.output == "version            0\nstorage.wal_bytes  2048 (2.0 KiB)\nstorage.healthy    true\n")
    }
}
