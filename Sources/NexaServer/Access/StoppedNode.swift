/// Accounts of a node that does not run, for its first admin and for one that lost the password: whoever may write the data directory
/// owns the node anyway.

import NexaDocuments
import NexaStorage

package enum StoppedNode {
    /// Opens the data in `directory` (made when there is none), changes its accounts and closes it again.
    package static func changeAccounts<Result>(
        in directory: String, _ body: (Catalog) throws(DocumentError) -> Result
    ) throws -> Result {
        let fileSystem = PosixFileSystem()
        if try CoordinationFile.load(directory: directory, fileSystem: fileSystem) != nil {
            throw StartError(
                "\(directory) belongs to a node of a cluster: its accounts are changed on the leader, while it runs")
        }
        ProcessSetup.prepare()
        try ProcessSetup.createDirectories(above: directory)
        try ProcessSetup.checkRestored(directory, fileSystem)
        let engine = try Engine.open(
            directory: directory, fileSystem: fileSystem, options: EngineOptions(memoryByteCount: 64 << 20))
        let outcome = Swift.Result { () throws -> Result in
            do {
                return try body(try DocumentStore(engine: engine).catalog)
            } catch let error as DocumentError {
                throw StartError(error.message)
            }
        }
        try engine.close()
        return try outcome.get()
    }
}
