// Who may hold a connection for replication, and for how long. There is room for so many of them, part of it for members only, so that no number
// of others keeps one out. A connection that neither follows nor waits for an answer goes when it has said nothing for a while, or when its
// place is needed.
//
// Pure: the shell tells what there is and carries out what is decided. Where users are checked, nobody comes this far without being one who may
// replicate; where they are not, anybody may claim to be a member, and gains no more than what a member that says nothing has.

import NexaReplication

package enum Admittance {
    /// Followers, candidates and administrators at the same time, those included whose last word is still on its way.
    package static let countMax = 256
    /// Of these, the most that are no members.
    package static let strangerCountMax = 192
    /// More than a node takes to introduce itself, and an administrator's tool between two requests.
    package static let silenceMax: Microseconds = 15_000_000

    /// One connection as it counts.
    package struct Occupant {
        package let session: SessionID
        /// It came under the name of a member.
        package let isMember: Bool
        /// It follows, or waits for an answer.
        package let isBusy: Bool
        /// When its last whole message came, or itself.
        package let spokeAt: Microseconds

        package init(session: SessionID, isMember: Bool, isBusy: Bool, spokeAt: Microseconds) {
            self.session = session
            self.isMember = isMember
            self.isBusy = isBusy
            self.spokeAt = spokeAt
        }
    }

    package enum Decision: Equatable {
        case admit
        /// This one has been idle the longest and makes room.
        case replace(SessionID)
        case refuse
    }

    /// `leaving` connections have been closed and are not gone yet; they count as strangers.
    package static func decide(isMember: Bool, among occupants: [Occupant], leaving: Int) -> Decision {
        let count = occupants.count + leaving
        let strangerCount = occupants.count { !$0.isMember } + leaving
        guard count >= countMax || !isMember && strangerCount >= strangerCountMax else { return .admit }
        // Whoever makes room leaves in a moment: one at a time.
        guard count <= countMax, isMember || strangerCount <= strangerCountMax else { return .refuse }
        let idle = occupants.filter { !$0.isBusy && (isMember || !$0.isMember) }
        let longest = idle.min { ($0.isMember ? 1 : 0, $0.spokeAt) < ($1.isMember ? 1 : 0, $1.spokeAt) }
        return longest.map { .replace($0.session) } ?? .refuse
    }

    /// Who has said nothing for too long.
    package static func overdue(_ occupants: [Occupant], now: Microseconds) -> [SessionID] {
        occupants.filter { !$0.isBusy && now - min(now, $0.spokeAt) > silenceMax }.map(\.session)
    }
}
