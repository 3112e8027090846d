import NexaShell

/// Commands that begin with a dot. Without a value a setting tells what it is.
extension ShellSession {
    mutating func change(_ setting: ShellSetting) throws {
        switch setting {
        case .mode(nil): results.say(results.mode.rawValue)
        case .mode(let mode?): results.mode = mode
        case .timer(nil): results.say(isTimed ? "on" : "off")
        case .timer(let isOn?): isTimed = isOn
        case .output(let path): try results.redirect(to: path)
        case .readConcern(let concern): reads.concern = concern
        case .maxStaleness(let milliseconds): reads.stalenessMillisecondsMax = milliseconds
        }
    }
}
