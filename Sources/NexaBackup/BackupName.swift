/// What a backup is called within its directory.
package struct BackupName: Equatable, Sendable {
    package let text: String

    package init(text: String) { self.text = text }
}
