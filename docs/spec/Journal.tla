------------------------------ MODULE Journal ------------------------------
(***************************************************************************)
(* The journals of one writer incarnation: replication to an ensemble of   *)
(* stores, acknowledgement at Q, the change of ensemble, and recovery by   *)
(* competing recoverers, while stores crash and are wiped and the writer   *)
(* may be a zombie.                                                        *)
(*                                                                         *)
(* Time is asynchronous: a process that is slow, paused, cut off or dead   *)
(* is one that takes no step. Any number of them may, for ever. Messages   *)
(* are not modelled as such: see README.md for why that hides nothing.     *)
(*                                                                         *)
(* The writer assigns offsets 1, 2, ... One entry holds one offset. Entry  *)
(* n of journal 1 is offset n; entry n of journal 2, which an ensemble     *)
(* change opens, is offset cut + n.                                        *)
(*                                                                         *)
(* Break names rules that are turned off, to see that each is needed.      *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
    First,      \* ids of the stores that keep journal 1
    Spare,      \* and of the others
    NewSize,    \* how many stores keep journal 2; 0: the ensemble is never changed
    Q,          \* members that have an entry on disk before it is acknowledged
    Offsets,    \* the writer sends offsets 1..Offsets, one after another
    Attempts,   \* recoveries that may be begun, by any number of recoverers
    Wipes,      \* stores that may lose their disk
    Break       \* names of rules that are off

VARIABLES
    etcd,       \* [journal -> record]; what etcd holds
    known,      \* [store -> [journal -> BOOLEAN]], durable: it is a member
    disk,       \* [store -> [journal -> last entry on disk]], everything before it too
    told,       \* [store -> [journal -> last entry of which the writer was told that it is on disk]]
    recv,       \* [store -> [journal -> last entry received]]: beyond disk a crash forgets it
    fence,      \* [store -> [journal -> highest epoch that fenced it]], durable; 0 none
    wiped,      \* the stores that are gone; a replaced disk has another id
    acked,      \* the writer acknowledged offsets 1..acked; readers were shown these
    cut,        \* where its change of ensemble ends journal 1; -1 while there is none
    joins,      \* members of journal 2 that answered Join
    moved,      \* the writer knows that journal 2 is open
    tries,      \* [attempt -> its recoverer's memory]
    over,       \* heirs adopted: the history has this many offsets; -1 before
    early       \* offsets that a reader was shown before the tail was decided

vars == <<etcd, known, disk, told, recv, fence, wiped, acked, cut, joins, moved, tries, over, early>>
stores == <<known, disk, told, recv, fence, wiped>>
writer == <<acked, cut, joins, moved>>

Stores == First \cup Spare
Broken(rule) == rule \in Break
Journals == {1, 2}
Size(set) == Cardinality(set)
Max(set) == CHOOSE x \in set : \A y \in set : y <= x
Min2(a, b) == IF a < b THEN a ELSE b

Base(j) == IF j = 1 THEN 0 ELSE cut
NoTry == [journal |-> 0, said |-> [s \in Stores |-> -1], end |-> -1]
Done == [NoTry EXCEPT !.journal = -1]   \* its journal is sealed: nothing that it does matters

Init ==
    /\ etcd = [j \in Journals |-> IF j = 1
                 THEN [state |-> "open", epoch |-> 0, end |-> 0, ensemble |-> First]
                 ELSE [state |-> "none", epoch |-> 0, end |-> 0, ensemble |-> {}]]
    /\ known = [s \in Stores |-> [j \in Journals |-> j = 1 /\ s \in First]]
    /\ disk = [s \in Stores |-> [j \in Journals |-> 0]]
    /\ told = disk
    /\ recv = disk
    /\ fence = disk
    /\ wiped = {}
    /\ acked = 0 /\ cut = -1 /\ joins = {} /\ moved = FALSE
    /\ tries = [e \in 1..Attempts |-> NoTry]
    /\ over = -1 /\ early = 0

(***************************************************************************)
(* Stores. Of a wiped store only what it told the writer matters any more.  *)
(***************************************************************************)

\* The writer may send what it likes, also while it doesn't know yet whether
\* the change of ensemble took place.
Sent(j) == IF j = 1 THEN (IF moved THEN 0 ELSE Offsets) ELSE (IF cut < 0 THEN 0 ELSE Offsets - cut)

Receive(s, j) ==
    /\ s \notin wiped /\ known[s][j]
    /\ recv[s][j] < Sent(j)
    /\ fence[s][j] = 0                  \* the writer's own epoch
    /\ recv' = [recv EXCEPT ![s][j] = @ + 1]
    /\ UNCHANGED <<etcd, known, disk, told, fence, wiped, writer, tries, over, early>>

Sync(s, j) ==
    /\ s \notin wiped /\ recv[s][j] > disk[s][j]
    /\ disk' = [disk EXCEPT ![s][j] = recv[s][j]]
    /\ told' = [told EXCEPT ![s][j] = recv[s][j]]
    /\ UNCHANGED <<etcd, known, recv, fence, wiped, writer, tries, over, early>>

Forgotten(s, j) == Broken("join in memory") /\ j = 2 /\ disk[s][j] = 0
Crash(s) ==
    /\ s \notin wiped
    /\ recv' = [recv EXCEPT ![s] = disk[s]]
    /\ known' = [known EXCEPT ![s] = [j \in Journals |-> @[j] /\ ~Forgotten(s, j)]]
    /\ fence' = IF Broken("fence in memory") THEN [fence EXCEPT ![s] = [j \in Journals |-> 0]] ELSE fence
    /\ <<recv, known, fence>>' # <<recv, known, fence>>
    /\ UNCHANGED <<etcd, disk, told, wiped, writer, tries, over, early>>

Wipe(s) ==
    /\ s \notin wiped /\ Size(wiped) < Wipes
    /\ wiped' = wiped \cup {s}
    /\ known' = [known EXCEPT ![s] = [j \in Journals |-> FALSE]]
    /\ disk' = [disk EXCEPT ![s] = [j \in Journals |-> 0]]
    /\ recv' = [recv EXCEPT ![s] = [j \in Journals |-> 0]]
    /\ fence' = [fence EXCEPT ![s] = [j \in Journals |-> 0]]
    /\ UNCHANGED <<etcd, told, writer, tries, over, early>>

\* A store may forget a journal that etcd doesn't have once it can't be opened
\* any more: once the one before it isn't open.
Forget(s) ==
    /\ s \notin wiped /\ known[s][2] /\ etcd[2].state = "none"
    /\ (etcd[1].state # "open" \/ Broken("forget what etcd lacks"))
    /\ known' = [known EXCEPT ![s][2] = FALSE]
    /\ disk' = [disk EXCEPT ![s][2] = 0]
    /\ recv' = [recv EXCEPT ![s][2] = 0]
    /\ UNCHANGED <<etcd, told, fence, wiped, writer, tries, over, early>>

(***************************************************************************)
(* The writer.                                                             *)
(***************************************************************************)

Told(s, j) == IF Broken("acknowledge unsynced") THEN recv[s][j] ELSE told[s][j]
Quorum == IF Broken("acknowledge below Q") THEN Q - 1 ELSE Q
Members(j) == IF j = 1 THEN First ELSE joins
Held(j, n) == Size({s \in Members(j) : Told(s, j) >= n}) >= Quorum

\* While the outcome of the change is not known, an offset beyond the cut counts
\* only if both journals hold it: whichever turns out to be the open one keeps it.
Ack ==
    LET n == acked + 1
        old == Held(1, n)
        new == cut >= 0 /\ (n <= cut \/ Held(2, n - cut))
    IN  /\ n <= Offsets
        /\ \/ cut < 0 /\ old
           \/ /\ cut >= 0 /\ ~moved
              /\ old \/ Broken("acknowledge by the new alone")
              /\ new \/ Broken("acknowledge while changing")
           \/ moved /\ new
        /\ acked' = n
        /\ UNCHANGED <<etcd, stores, cut, joins, moved, tries, over, early>>

\* From here on cut is what journal 1 will be sealed at. The members of the next
\* journal have stored that they are, before it is opened.
Prepare(ensemble) ==
    /\ cut < 0 /\ NewSize > 0
    /\ cut' \in {n \in acked..Offsets : n = acked \/ Held(1, n)}
    /\ Size(ensemble) = NewSize /\ ensemble \cap wiped = {}
    /\ joins' = ensemble
    /\ known' = [s \in Stores |-> IF s \in ensemble THEN [known[s] EXCEPT ![2] = TRUE] ELSE known[s]]
    /\ UNCHANGED <<etcd, disk, told, recv, fence, wiped, acked, moved, tries, over, early>>

Sealed(record, end) == [record EXCEPT !.state = "sealed", !.end = end]
Opened == [state |-> "open", epoch |-> 0, end |-> 0, ensemble |-> joins]
TwoSteps == Broken("open, then seal") \/ Broken("seal, then open")

\* One transaction: it compares that journal 1 is open still.
Change ==
    /\ cut >= 0 /\ etcd[2].state = "none" /\ ~TwoSteps
    /\ etcd[1].state = "open" \/ Broken("trust the lease")
    /\ etcd' = [etcd EXCEPT ![1] = IF @.state = "open" THEN Sealed(@, cut) ELSE @, ![2] = Opened]
    /\ UNCHANGED <<stores, writer, tries, over, early>>

ChangeOpens ==
    /\ TwoSteps /\ cut >= 0 /\ etcd[2].state = "none"
    /\ IF Broken("open, then seal") THEN etcd[1].state = "open"
       ELSE etcd[1].state = "sealed" /\ etcd[1].epoch = 0
    /\ etcd' = [etcd EXCEPT ![2] = Opened]
    /\ UNCHANGED <<stores, writer, tries, over, early>>

ChangeSeals ==
    /\ TwoSteps /\ cut >= 0 /\ etcd[1].state = "open"
    /\ etcd[2].state # "none" \/ Broken("seal, then open")
    /\ etcd' = [etcd EXCEPT ![1] = Sealed(@, cut)]
    /\ UNCHANGED <<stores, writer, tries, over, early>>

\* The writer rewrites journal 1 as it is, so that the transaction can't take
\* effect any more. The next change opens a journal of another name; here it is
\* number 2 again, of which nobody has heard.
GiveUp ==
    /\ cut >= 0 /\ etcd[1].state = "open" /\ etcd[2].state = "none" /\ ~TwoSteps
    /\ cut' = -1 /\ joins' = {}
    /\ known' = [s \in Stores |-> [known[s] EXCEPT ![2] = FALSE]]
    /\ disk' = [s \in Stores |-> [disk[s] EXCEPT ![2] = 0]]
    /\ told' = [s \in Stores |-> [told[s] EXCEPT ![2] = 0]]
    /\ recv' = [s \in Stores |-> [recv[s] EXCEPT ![2] = 0]]
    /\ UNCHANGED <<etcd, fence, wiped, acked, moved, tries, over, early>>

Learn ==
    /\ ~moved /\ etcd[2].state # "none" /\ etcd[1].state = "sealed"
    /\ moved' = TRUE
    /\ UNCHANGED <<etcd, stores, acked, cut, joins, tries, over, early>>

(***************************************************************************)
(* Recovery. An attempt is one run of steps 1 to 5; its number is the      *)
(* epoch E. A recoverer that crashes is an attempt that goes no further;   *)
(* one that begins again is another attempt.                               *)
(***************************************************************************)

Begin(e, j) ==      \* step 1
    /\ tries[e].journal = 0 /\ \A f \in 1..(e - 1) : tries[f].journal # 0
    /\ etcd[j].state \in {"open", "recovering"}
    /\ etcd' = [etcd EXCEPT ![j].state = "recovering", ![j].epoch = e]
    /\ tries' = [tries EXCEPT ![e].journal = j]
    /\ UNCHANGED <<stores, writer, over, early>>

Said(e) == {s \in Stores : tries[e].said[s] >= 0}
Needed(j) == Size(etcd[j].ensemble) - Q + (IF Broken("an answer too few") THEN 0 ELSE 1)

\* Step 2. What was received and isn't on disk will never be acknowledged: the
\* store drops it, or syncs it before.
FenceStore(e, j, s) ==
    /\ known[s][j] /\ s \notin wiped
    /\ fence[s][j] < e \/ Broken("any epoch")
    /\ fence' = IF Broken("no fence") THEN fence ELSE [fence EXCEPT ![s][j] = Max({@, e})]
    /\ recv' = IF Broken("no fence") \/ Broken("fence beside a sync") THEN recv ELSE [recv EXCEPT ![s][j] = disk[s][j]]
    /\ tries' = [tries EXCEPT ![e].said[s] = disk[s][j]]
    /\ UNCHANGED <<etcd, known, disk, told, wiped, writer, over, early>>

Fence(e, s) ==
    LET j == tries[e].journal
    IN  /\ j > 0 /\ s \in etcd[j].ensemble /\ s \notin Said(e)
        /\ FenceStore(e, j, s)

WipedAnswers(e, s) ==
    /\ Broken("unknown is empty")
    /\ tries[e].journal > 0 /\ s \in etcd[tries[e].journal].ensemble /\ s \in wiped /\ s \notin Said(e)
    /\ tries' = [tries EXCEPT ![e].said[s] = 0]
    /\ UNCHANGED <<etcd, stores, writer, over, early>>

Decide(e) ==        \* step 3
    LET j == tries[e].journal
        answers == Said(e) \cap etcd[j].ensemble
        end == Max({tries[e].said[s] : s \in answers})
    IN  /\ j > 0 /\ tries[e].end < 0
        /\ Size(answers) >= Needed(j)
        /\ tries' = [tries EXCEPT ![e].end = end]
        /\ early' = IF Broken("show before sealed") THEN Max({early, Base(j) + end}) ELSE early
        /\ UNCHANGED <<etcd, stores, writer, over>>

\* Step 4, where fewer than Q members answer: a store that isn't a member joins,
\* fenced from the start. It holds copies; it is never an answer. Nobody knows
\* whether the others are wiped or only slow, so this may be done at any time.
MayRecruit(e, j, s) ==
    /\ ~Broken("members only")
    /\ tries[e].end >= 0 /\ s \notin etcd[j].ensemble /\ s \notin wiped /\ s \notin Said(e)
    /\ fence[s][j] < e
Recruit(e, s) ==
    LET j == tries[e].journal
    IN  /\ j > 0 /\ MayRecruit(e, j, s)
        /\ known' = [known EXCEPT ![s][j] = TRUE]
        /\ fence' = [fence EXCEPT ![s][j] = e]
        /\ tries' = [tries EXCEPT ![e].said[s] = disk[s][j]]
        /\ UNCHANGED <<etcd, disk, told, recv, wiped, writer, over, early>>

MayCopy(e, j, s) ==
    /\ s \in Said(e) /\ s \notin wiped
    /\ tries[e].said[s] < tries[e].end
    /\ fence[s][j] = e \/ Broken("any epoch") \/ Broken("no fence")
    /\ \E from \in Said(e) \ wiped : disk[from][j] > tries[e].said[s]
Copy(e, s) ==       \* step 4, an entry at a time
    LET j == tries[e].journal
        next == tries[e].said[s] + 1
    IN  /\ j > 0 /\ MayCopy(e, j, s)
        /\ disk' = [disk EXCEPT ![s][j] = Max({@, next})]
        /\ recv' = [recv EXCEPT ![s][j] = Max({@, next})]
        /\ tries' = [tries EXCEPT ![e].said[s] = next]
        /\ told' = IF Broken("copies untold") THEN told ELSE [told EXCEPT ![s][j] = Max({@, next})]
        /\ UNCHANGED <<etcd, known, fence, wiped, writer, over, early>>

MaySeal(e, j) ==
    /\ tries[e].end >= 0
    /\ etcd[j].state = "recovering"
    /\ etcd[j].epoch = e \/ Broken("any epoch")
    /\ Size({s \in Stores : tries[e].said[s] >= tries[e].end}) >= Q \/ Broken("no copy")
Seal(e) ==          \* step 5
    LET j == tries[e].journal
    IN  /\ j > 0 /\ MaySeal(e, j)
        /\ etcd' = [etcd EXCEPT ![j] = Sealed(@, tries[e].end)]
        /\ tries' = [f \in 1..Attempts |-> IF tries[f].journal = j THEN Done ELSE tries[f]]
        /\ UNCHANGED <<stores, writer, over, early>>

\* Step 6: nothing of this incarnation is open, and never will be. Readers are
\* shown all of it, and the heir goes on with the next offset.
Adopt ==
    /\ over < 0 /\ etcd[1].state = "sealed" /\ etcd[2].state \in {"none", "sealed"}
    /\ over' = etcd[1].end + etcd[2].end
    /\ UNCHANGED <<etcd, stores, writer, tries, early>>

Next ==
    \/ Ack \/ Change \/ ChangeOpens \/ ChangeSeals \/ GiveUp \/ Learn \/ Adopt
    \/ \E s \in Stores : Crash(s) \/ Wipe(s) \/ Forget(s)
    \/ \E ensemble \in SUBSET Stores : Prepare(ensemble)
    \/ \E s \in Stores, j \in Journals : Receive(s, j) \/ Sync(s, j)
    \/ \E e \in 1..Attempts, j \in Journals : Begin(e, j)
    \/ \E e \in 1..Attempts : Decide(e) \/ Seal(e)
    \/ \E e \in 1..Attempts, s \in Stores : Fence(e, s) \/ WipedAnswers(e, s) \/ Recruit(e, s) \/ Copy(e, s)

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* The promises.                                                           *)
(***************************************************************************)

\* Offset n is on a disk that is left, in a journal that counts, below its end.
KeptIn(j, n) ==
    LET k == n - Base(j)
    IN  /\ etcd[j].state # "none" /\ k >= 1
        /\ etcd[j].state = "sealed" => k <= etcd[j].end
        /\ \E s \in Stores \ wiped : known[s][j] /\ disk[s][j] >= k
Kept(n) == \E j \in Journals : KeptIn(j, n)

AckedIsKept ==
    /\ \A n \in 1..acked : Kept(n)
    /\ over >= 0 => acked <= over

\* The ranges of the journals follow each other, without overlap or gap; once an
\* heir has gone on from there, nothing is added or taken away.
OneHistory ==
    /\ etcd[2].state # "none" /\ etcd[1].state = "sealed" => etcd[1].end = cut
    /\ over >= 0 => over = etcd[1].end + etcd[2].end

NoTakeBacks ==
    /\ \A n \in 1..Max({over, early}) : Kept(n)
    /\ over >= 0 => early <= over

\* The newest recovery of a journal can always take a step, unless a store that
\* answered it was wiped since: then another is begun. Every step brings it
\* nearer to its end, so it ends.
CanEnd ==
    \A j \in Journals : etcd[j].state = "recovering" =>
        LET e == etcd[j].epoch
        IN  \/ Said(e) \cap wiped # {}
            \/ \E s \in etcd[j].ensemble \ wiped : known[s][j] /\ s \notin Said(e)
            \/ tries[e].end < 0 /\ Size(Said(e) \cap etcd[j].ensemble) >= Needed(j)
            \/ \E s \in Stores : MayRecruit(e, j, s) \/ MayCopy(e, j, s)
            \/ MaySeal(e, j)

\* As long as no more than Q - 1 are lost, enough members can answer.
CanAnswer ==
    \A j \in Journals : etcd[j].state \in {"open", "recovering"} =>
        Size({s \in etcd[j].ensemble \ wiped : known[s][j]}) >= Needed(j)

\* A decision is final, and a later recovery always beats an earlier.
Final ==
    [][\A j \in Journals :
        /\ etcd[j].state = "sealed" => etcd'[j] = etcd[j]
        /\ etcd'[j].epoch >= etcd[j].epoch]_vars

\* Not promises: that these are broken shows that the model gets somewhere.
NeverRecruited ==
    ~(etcd[1].state = "sealed" /\ etcd[1].end = Offsets /\ acked = Offsets /\ wiped # {}
      /\ over = Offsets /\ \E s \in Spare : disk[s][1] = Offsets)
NeverHandedOn ==
    ~(over = Offsets /\ acked = Offsets /\ cut > 0 /\ etcd[2].epoch > 0 /\ etcd[2].end > 0 /\ wiped # {})

Symmetry == Permutations(First) \cup Permutations(Spare)
=============================================================================
