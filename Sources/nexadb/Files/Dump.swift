import ArgumentParser

/// `nexadb dump`: what lies in one file of a store.
struct Dump: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what lies in a log segment, a table or a manifest.",
        discussion: """
            For the curious and for emergencies: every record or entry with its place in the file. Damage is shown where it is, and \
            the dump goes on behind it. Files are only read; work on those of a stopped node or on copies (with their names, which \
            the checksums know).

            EXIT CODES  0 all whole, 1 damage was shown, 2 the file cannot be read.
            """,
        subcommands: [DumpLog.self, DumpTable.self, DumpManifest.self])
}

/// The file and the form: what all dumps share.
struct DumpOptions: ParsableArguments {
    @Argument(help: "The file.") var file: String
    @Flag(help: "One JSON object a line.") var json = false
}
