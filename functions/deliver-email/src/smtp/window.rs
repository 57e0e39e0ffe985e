//! A window of messages over one connection.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

use super::{
    Outgoing, Timeouts, body,
    classify::{self, Step},
    connection::{Broken, Connection, ReadError},
    envelope,
    reply::Reply,
};
use crate::{Answer, NotAccepted};

/// How long to listen for the server's last words after a write failed.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How the server took MAIL, RCPT and DATA.
enum Opened {
    /// 354 for a recipient it took: the message may follow.
    ForMessage,
    /// 354 although it took no recipient. RFC 2920, 3.1 has the client send an empty message then.
    ForNothing(Answer),
    /// No 354.
    Refused(Answer),
}

/// What a window must keep to.
pub(super) struct Limits<'a> {
    pub(super) timeouts: &'a Timeouts,
    /// When the whole call must be over.
    pub(super) deadline: Instant,
    /// The most messages for the connection, over its life.
    pub(super) max_messages: Option<NonZeroU32>,
}

impl Limits<'_> {
    fn within(&self, longest: Duration) -> Instant {
        Instant::now().checked_add(longest).map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// A failure to read or write, told from the end of the time we were given: then the server is not to blame.
    fn broken(&self, error: ReadError) -> Broken {
        if error == ReadError::TimedOut && Instant::now() >= self.deadline {
            out_of_time()
        } else {
            error.into()
        }
    }
}

impl Connection {
    /// Sends every message that has no answer yet, in order. On an error, messages left without an answer were not
    /// handed over: not even a part of their end-of-data dot.
    pub(super) async fn run(
        &mut self,
        window: &[Outgoing<'_>],
        answers: &mut [Option<Answer>],
        limits: &Limits<'_>,
    ) -> Result<(), Broken> {
        let mut current = self.next_unanswered(0, window, answers);
        // Whether the current envelope went out with the message before it.
        let mut is_open = false;
        while let Some(index) = current {
            if limits.max_messages.is_some_and(|max| self.served >= max.get()) {
                return Err(retired());
            }
            let next = self.next_unanswered(index + 1, window, answers);
            window[index].to.clone_into(&mut self.recipient);
            let opened = if self.extensions.pipelining {
                if !is_open {
                    self.out.clear();
                    if self.needs_reset {
                        self.out.extend_from_slice(envelope::RSET);
                    }
                    self.append_envelope(&window[index]);
                    self.write_commands(limits).await?;
                    if self.needs_reset {
                        self.read_reset(limits).await?;
                    }
                }
                self.open_pipelined(limits, &mut answers[index]).await?
            } else {
                if self.needs_reset {
                    self.out.clear();
                    self.out.extend_from_slice(envelope::RSET);
                    self.write_commands(limits).await?;
                    self.read_reset(limits).await?;
                }
                self.open_stepwise(&window[index], limits).await?
            };
            self.needs_reset = false;
            is_open = false;
            match opened {
                Opened::Refused(answer) => {
                    answers[index] = Some(answer);
                    self.settled += 1;
                    self.needs_reset = true;
                }
                Opened::ForNothing(answer) => {
                    answers[index] = Some(answer);
                    self.settled += 1;
                    self.out.clear();
                    self.out.extend_from_slice(body::TERMINATOR);
                    self.write_commands(limits).await?;
                    let reply = self.reply(limits, limits.timeouts.command).await?;
                    self.check_closing(reply, Step::End)?;
                    self.needs_reset = true;
                }
                Opened::ForMessage => {
                    let is_last = limits.max_messages.is_some_and(|max| self.served + 1 >= max.get());
                    let follower = next.filter(|_| self.extensions.pipelining && !is_last);
                    is_open = follower.is_some();
                    let follower = follower.map(|next| &window[next]);
                    self.hand_over(&window[index], follower, &mut answers[index], limits).await?;
                }
            }
            current = next;
        }
        Ok(())
    }

    /// The first message from `from` on that the server is to be asked about. Those that can't be sent to this server
    /// get their answer here.
    fn next_unanswered(
        &self,
        from: usize,
        window: &[Outgoing<'_>],
        answers: &mut [Option<Answer>],
    ) -> Option<usize> {
        (from..window.len()).find(|&index| {
            if answers[index].is_none() {
                answers[index] = envelope::check_for(&window[index], &self.extensions).err();
            }
            answers[index].is_none()
        })
    }

    fn append_envelope(&mut self, message: &Outgoing<'_>) {
        envelope::append_mail(&mut self.out, message, &self.extensions);
        envelope::append_rcpt(&mut self.out, message);
        self.out.extend_from_slice(envelope::DATA);
    }

    /// Writes commands; no message hangs on them.
    async fn write_commands(&mut self, limits: &Limits<'_>) -> Result<(), Broken> {
        let deadline = limits.within(limits.timeouts.command);
        match self.write_out(None, deadline).await {
            Ok(()) => Ok(()),
            // A server that hung up often said why: "421 4.4.2 idle for too long".
            Err(failed) => match self.read_reply(limits.within(LAST_WORDS)).await {
                Ok(reply) if reply.is_refusal() => Err(self.closing(reply, Step::Connect)),
                _ => Err(limits.broken(failed.error)),
            },
        }
    }

    async fn reply(&mut self, limits: &Limits<'_>, longest: Duration) -> Result<Reply, Broken> {
        self.read_reply(limits.within(longest)).await.map_err(|error| limits.broken(error))
    }

    async fn read_reset(&mut self, limits: &Limits<'_>) -> Result<(), Broken> {
        let reply = self.reply(limits, limits.timeouts.command).await?;
        self.check_closing(reply, Step::Connect)?;
        if reply.is_success() { Ok(()) } else { Err(out_of_step()) }
    }

    /// Reads the three replies to an envelope that went out in one write. `answer` is set before an error where the
    /// server said what it thinks of the message and hung up only then.
    async fn open_pipelined(
        &mut self,
        limits: &Limits<'_>,
        answer: &mut Option<Answer>,
    ) -> Result<Opened, Broken> {
        let longest = limits.timeouts.command;
        let mut is_mail_taken = false;
        for step in [Step::Mail, Step::Rcpt] {
            let reply = self.reply(limits, longest).await?;
            self.check_closing(reply, step)?;
            if reply.is_refusal() {
                // What is refused after a refusal is refused for it.
                if answer.is_none() {
                    *answer = Some(self.refusal(reply, step));
                }
            } else if !reply.is_success() {
                return Err(out_of_step());
            } else if step == Step::Mail {
                is_mail_taken = true;
            }
        }
        let reply = self.reply(limits, longest).await?;
        self.check_closing(reply, Step::Data)?;
        match (reply.code / 100, answer.take()) {
            (3, None) => Ok(Opened::ForMessage),
            (3, Some(refused)) => {
                *answer = Some(refused.clone());
                // With neither sender nor recipient there is no transaction to end; who knows what would be sent.
                if is_mail_taken { Ok(Opened::ForNothing(refused)) } else { Err(out_of_step()) }
            }
            (4 | 5, Some(refused)) => Ok(Opened::Refused(refused)),
            (4 | 5, None) => Ok(Opened::Refused(self.refusal(reply, Step::Data))),
            (_, refused) => {
                *answer = refused;
                Err(out_of_step())
            }
        }
    }

    /// MAIL, RCPT and DATA, each after the reply to the one before.
    async fn open_stepwise(&mut self, message: &Outgoing<'_>, limits: &Limits<'_>) -> Result<Opened, Broken> {
        for step in [Step::Mail, Step::Rcpt, Step::Data] {
            self.out.clear();
            match step {
                Step::Mail => envelope::append_mail(&mut self.out, message, &self.extensions),
                Step::Rcpt => envelope::append_rcpt(&mut self.out, message),
                _ => self.out.extend_from_slice(envelope::DATA),
            }
            self.write_commands(limits).await?;
            let reply = self.reply(limits, limits.timeouts.command).await?;
            self.check_closing(reply, step)?;
            if reply.is_refusal() {
                return Ok(Opened::Refused(self.refusal(reply, step)));
            }
            let expected = if step == Step::Data { 3 } else { 2 };
            if reply.code / 100 != expected {
                return Err(out_of_step());
            }
        }
        Ok(Opened::ForMessage)
    }

    /// The message, its end, and the envelope of the one that follows, in one write; then the final reply.
    async fn hand_over(
        &mut self,
        message: &Outgoing<'_>,
        follower: Option<&Outgoing<'_>>,
        answer: &mut Option<Answer>,
        limits: &Limits<'_>,
    ) -> Result<(), Broken> {
        // No reply is due here. One that came all the same could pass for the one to this message.
        if !self.inbox.is_empty() {
            return Err(out_of_step());
        }
        // With less time left than the last reply took, this one would most likely end in doubt: leave it for later.
        if Instant::now() + self.last_wait >= limits.deadline {
            return Err(out_of_time());
        }
        self.out.clear();
        body::append(&mut self.out, message.message);
        let dot = self.out.len();
        self.out.extend_from_slice(body::TERMINATOR);
        if let Some(follower) = follower {
            self.append_envelope(follower);
        }
        let written = self.write_out(Some(dot), limits.within(limits.timeouts.data)).await;
        let (may_be_whole, deadline) = match &written {
            Ok(()) => (true, limits.within(limits.timeouts.data)),
            Err(failed) => (failed.handed > dot, limits.within(LAST_WORDS)),
        };
        let handed_over = Instant::now();
        let reply = self.read_reply(deadline).await;
        self.last_wait = handed_over.elapsed();
        match reply {
            Ok(reply) if reply.is_refusal() => {
                self.served += 1;
                self.settled += 1;
                *answer = Some(self.refusal(reply, Step::End));
                self.check_closing(reply, Step::End)?;
            }
            Ok(reply) if reply.is_success() && may_be_whole => {
                self.served += 1;
                self.settled += 1;
                *answer =
                    Some(Answer::Accepted { provider_id: classify::provider_id(&self.inbox.words(&reply)) });
            }
            // A yes to a message whose end we never sent is as good as no reply.
            Ok(_) => *answer = Some(in_doubt(ReadError::Nonsense)),
            Err(error) if may_be_whole => *answer = Some(in_doubt(error)),
            Err(_) => {}
        }
        match (written, reply) {
            (Err(failed), _) => Err(limits.broken(failed.error)),
            (Ok(()), Err(error)) => Err(limits.broken(error)),
            (Ok(()), Ok(reply)) if reply.code / 100 == 3 => Err(out_of_step()),
            (Ok(()), Ok(_)) => Ok(()),
        }
    }

    fn refusal(&self, reply: Reply, step: Step) -> Answer {
        classify::refusal(step, reply.code, &self.inbox.words(&reply), &self.recipient)
    }

    /// 421 may answer anything, and the connection is over with it (RFC 5321, 3.8).
    fn check_closing(&self, reply: Reply, step: Step) -> Result<(), Broken> {
        if reply.code == 421 { Err(self.closing(reply, step)) } else { Ok(()) }
    }

    fn closing(&self, reply: Reply, step: Step) -> Broken {
        let answer = match self.refusal(reply, step) {
            // Said while hanging up, it is no recipient's fault.
            Answer::Refused { detail, .. } => Answer::not_accepted(NotAccepted::Unreachable, detail),
            answer => answer,
        };
        let is_limit = matches!(
            answer,
            Answer::NotAccepted { cause: NotAccepted::Throttled | NotAccepted::QuotaExceeded, .. }
        );
        Broken { answer, new_connection_may_help: !is_limit }
    }
}

fn in_doubt(error: ReadError) -> Answer {
    Answer::Ambiguous { detail: format!("after the message was handed over: {}", error.describe()) }
}

/// The server's replies no longer fit our commands. Nothing on this connection can be trusted, but nothing is wrong
/// with the messages that were not handed over.
fn out_of_step() -> Broken {
    Broken {
        answer: Answer::not_accepted(NotAccepted::Transient, "the server's replies do not fit the commands"),
        new_connection_may_help: true,
    }
}

/// The time given is over before the message's turn came.
fn out_of_time() -> Broken {
    Broken {
        answer: Answer::not_accepted(NotAccepted::Transient, "time ran out"),
        new_connection_may_help: false,
    }
}

fn retired() -> Broken {
    Broken {
        answer: Answer::not_accepted(NotAccepted::Transient, "the connection has carried its share"),
        new_connection_may_help: true,
    }
}
