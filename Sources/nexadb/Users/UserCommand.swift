import ArgumentParser
import NexaDocuments
import NexaServer

/// `nexadb user`: the accounts of a node.
struct UserCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Make, list, change and remove the users of a node.",
        discussion: """
            Accounts are data: a change made on the leader holds on every node, also for connections that are open. The first user is an \
            admin. Make it on a running node that only this machine reaches, or with --data-dir on a node that is stopped; from then on \
            every client has to log in (see --auth of `nexadb serve` and docs/security.md).

            Passwords are asked for without being shown, or come from --new-password-file ('-' is standard input). They are never given \
            as arguments: other users of this machine could read them.

            EXAMPLES
              nexadb user add ann --role admin
              nexadb user add app --role write --database shop=write --user ann
              nexadb user list --user ann --password-file ann.password
              nexadb user add ann --role admin --data-dir ./data     (the node is stopped)

            EXIT CODES  0 done, 1 refused, 2 the request is wrong, 4 the name is taken or the last admin would go, 5 the node cannot be \
            reached.
            """,
        subcommands: [UserAdd.self, UserList.self, UserRemove.self, UserPassword.self, UserRole.self, UserKey.self])
}

/// Where the accounts are: on a node, or in the directory of one that is stopped.
struct UserPlace: ParsableArguments {
    @OptionGroup var node: NodeOptions
    @Option(help: ArgumentHelp("Data directory of a node that is stopped, instead of a node.", valueName: "dir"))
    var dataDir: String?

    /// Sends one message, or does the same to the directory.
    func change(_ change: AccountChange) throws -> AccountChange.Outcome {
        guard let dataDir else { return try ToolExit.answering { try change.send(to: node) } }
        do {
            return try StoppedNode.changeAccounts(in: dataDir) { catalog throws(DocumentError) in try change.apply(to: catalog) }
        } catch {
            Console.complain("\(error)")
            throw ToolExit.failed
        }
    }
}

struct NewPassword: ParsableArguments {
    @Option(
        help: ArgumentHelp("File whose first line is the user's password, - for standard input.", valueName: "file"))
    var newPasswordFile: String?

    func read(for name: String) throws -> String {
        if let newPasswordFile {
            let text = newPasswordFile == "-" ? readLine() : try LogInOptions.firstLine(of: newPasswordFile)
            guard let text, !text.isEmpty else { throw ValidationError("the password is empty") }
            return text
        }
        guard Console.isInputTerminal else {
            throw ValidationError("there is no terminal to ask for a password: use --new-password-file")
        }
        guard let first = Console.readSecret("Password of \(name): "), let second = Console.readSecret("Again: ") else {
            throw ValidationError("no password was given")
        }
        guard first == second, !first.isEmpty else { throw ValidationError("the two passwords differ, or are empty") }
        return first
    }
}

struct DatabasePermissions: ParsableArguments {
    @Option(
        name: .customLong("database"),
        help: ArgumentHelp("Confines the user to this database; may be repeated.", valueName: "name=read|write"))
    var databases: [String] = []

    func parse() throws -> [String: Role] {
        var result: [String: Role] = [:]
        for text in databases {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, let role = Role(rawValue: String(parts[1])), role == .read || role == .write else {
                throw ValidationError("--database is NAME=read or NAME=write, not '\(text)'")
            }
            result[String(parts[0])] = role
        }
        return result
    }
}

extension Role: ExpressibleByArgument {}
