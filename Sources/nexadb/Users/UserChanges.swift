// The subcommands of `nexadb user`.

import ArgumentParser
import NexaBlockingClient
import NexaDocuments
import NexaShell
import NexaWire

struct UserAdd: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Make a user; prints its API key, once.")

    @Argument(help: "Name of the user.") var name: String
    @Option(help: "admin, write, read or replication.") var role: Role
    @OptionGroup var permissions: DatabasePermissions
    @OptionGroup var password: NewPassword
    @OptionGroup var place: UserPlace

    func validate() throws {
        if !(try permissions.parse()).isEmpty && role != .read && role != .write {
            throw ValidationError("only the roles read and write can be confined to databases")
        }
    }

    func run() throws {
        let change = AccountChange.add(
            name: name, password: try password.read(for: name), role: role, databases: try permissions.parse())
        try UserReport.show(place.change(change))
    }
}

struct UserRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a user; its open connections lose their rights with their next request.")

    @Argument(help: "Name of the user.") var name: String
    @OptionGroup var place: UserPlace

    func run() throws { try UserReport.show(place.change(.remove(name: name))) }
}

struct UserPassword: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd", abstract: "Change a password; the user's other open connections have to log in again.")

    @Argument(help: "Name of the user.") var name: String
    @OptionGroup var password: NewPassword
    @OptionGroup var place: UserPlace

    func run() throws {
        try UserReport.show(place.change(.setPassword(name: name, password: try password.read(for: name))))
    }
}

struct UserRole: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "role", abstract: "Change what a user may do. Without --database: in all databases.")

    @Argument(help: "Name of the user.") var name: String
    @Argument(help: "admin, write, read or replication.") var role: Role
    @OptionGroup var permissions: DatabasePermissions
    @OptionGroup var place: UserPlace

    func run() throws {
        try UserReport.show(place.change(.setRole(name: name, role: role, databases: try permissions.parse())))
    }
}

struct UserKey: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Give a user a new API key and print it, once; the old one is void.")

    @Argument(help: "Name of the user.") var name: String
    @OptionGroup var place: UserPlace

    func run() throws { try UserReport.show(place.change(.newKey(name: name))) }
}

struct UserList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the users.")

    @OptionGroup var node: NodeOptions
    @Flag(help: "Print the answer as JSON.") var json = false

    func run() throws {
        try ToolExit.guarded {
            let connection = try ClientConnection.open(node.endpoint(), node.clientOptions(name: "nexadb-user"))
            let answer = try connection.request(.listUsers).payload
            if json { return Console.say(JSONText.write(answer)) }
            for user in answer["users"]?.mapValue ?? [] {
                let databases = user.value["database_permissions"]?.mapValue ?? []
                let confined = databases.map { "\($0.key.stringValue ?? "?")=\($0.value.stringValue ?? "?")" }
                Console.say(
                    TerminalText.visible(
                        Console.left(user.key.stringValue ?? "?", 24) + Console.left(user.value["role"]?.stringValue ?? "?", 14)
                            + confined.joined(separator: " ")))
            }
        }
    }
}

enum UserReport {
    /// The message, and a key alone on a line of standard output.
    static func show(_ outcome: AccountChange.Outcome) {
        Console.note(outcome.message)
        guard let key = outcome.apiKey else { return }
        Console.note("This API key is shown only once:")
        Console.say(key)
    }
}
