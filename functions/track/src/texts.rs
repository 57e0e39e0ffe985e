//! What pages say, in each language. Names in braces are filled in.

use campaign::Channel;

use crate::language::Language;

/// The texts of one language.
#[derive(Debug)]
pub(crate) struct Texts {
    /// How a channel reaches people: email, text messages, notifications, calls.
    pub(crate) by: [&'static str; 4],
    /// The page to unsubscribe by: its title, and its button.
    pub(crate) unsubscribe: &'static str,
    /// What it asks where there is nothing to choose.
    pub(crate) ask: &'static str,
    /// What it asks where there is.
    pub(crate) choose: &'static str,
    /// The choice of this topic alone.
    pub(crate) only: &'static str,
    /// The choice of all marketing.
    pub(crate) all: &'static str,
    /// That it is done: the title.
    pub(crate) done: &'static str,
    /// What is not sent any more, of a topic.
    pub(crate) done_topic: &'static str,
    /// What is not sent any more, of all.
    pub(crate) done_all: &'static str,
    /// What may be sent all the same.
    pub(crate) still: &'static str,
    /// What stands before the button to take it back.
    pub(crate) mistake: &'static str,
    /// The button to take it back.
    pub(crate) undo: &'static str,
    /// That it is taken back: title and text.
    pub(crate) undone: [&'static str; 2],
    /// The links of a proof: title and text.
    pub(crate) proof: [&'static str; 2],
    /// A link that is none of ours, or was changed: title and text.
    pub(crate) invalid: [&'static str; 2],
    /// A link that is too old: title and text.
    pub(crate) expired: [&'static str; 2],
    /// A message that can't be shown any more: title and text.
    pub(crate) gone: [&'static str; 2],
    /// That it can't be taken back any more: title and text.
    pub(crate) too_late: [&'static str; 2],
    /// That something else has changed since, so that it is not taken back: title and text.
    pub(crate) moved: [&'static str; 2],
    /// That we are in trouble: title and text.
    pub(crate) trouble: [&'static str; 2],
}

const ENGLISH: Texts = Texts {
    by: ["by email", "by text message", "as notifications", "this way"],
    unsubscribe: "Unsubscribe",
    ask: "Do you want no more marketing {by}?",
    choose: "What do you not want any more?",
    only: "Messages about “{topic}”",
    all: "All marketing {by}",
    done: "You are unsubscribed",
    done_topic: "You will get no more messages about “{topic}”.",
    done_all: "You will get no more marketing {by}.",
    still: "What is about something that you ordered or asked for may still come, as may a message that is on its way.",
    mistake: "Was that a mistake?",
    undo: "Undo",
    undone: ["That is undone", "Everything is as it was before."],
    proof: [
        "This is a proof",
        "The message was sent to somebody who looks it over. In the real one, this link does what it says; here it changes nothing.",
    ],
    invalid: [
        "This link does not work",
        "It is not complete, or it was changed on its way. Please go to the message and follow it there once more.",
    ],
    expired: [
        "This link is too old",
        "Links in messages work for about a year. Please look for a newer message.",
    ],
    gone: [
        "This message can’t be shown",
        "The page of a message is there for a while only, and for whom it was sent to.",
    ],
    too_late: [
        "It is too late to undo this",
        "Please ask whoever sent the message to put you on their list again.",
    ],
    moved: [
        "This can’t be undone any more",
        "Something has changed since you unsubscribed. Please ask whoever sent the message to put you on their list again.",
    ],
    trouble: ["Something went wrong", "It is not your fault. Please try again in a moment."],
};

const FRENCH: Texts = Texts {
    by: ["par e-mail", "par SMS", "par notification", "par cette voie"],
    unsubscribe: "Se désabonner",
    ask: "Ne souhaitez-vous plus recevoir de messages publicitaires {by}\u{a0}?",
    choose: "Que ne souhaitez-vous plus recevoir\u{a0}?",
    only: "Les messages sur «\u{a0}{topic}\u{a0}»",
    all: "Tous les messages publicitaires {by}",
    done: "Vous êtes désabonné(e)",
    done_topic: "Vous ne recevrez plus de messages sur «\u{a0}{topic}\u{a0}».",
    done_all: "Vous ne recevrez plus de messages publicitaires {by}.",
    still: "Ce qui concerne vos commandes ou vos demandes peut encore vous parvenir, ainsi qu’un message déjà en route.",
    mistake: "Était-ce une erreur\u{a0}?",
    undo: "Annuler",
    undone: ["C’est annulé", "Tout est de nouveau comme avant."],
    proof: [
        "Ceci est une épreuve",
        "Ce message a été envoyé à une personne qui le relit. Dans le vrai message, ce lien fait ce qu’il annonce\u{a0}; ici, il ne change rien.",
    ],
    invalid: [
        "Ce lien ne fonctionne pas",
        "Il est incomplet, ou il a été modifié en route. Veuillez le suivre de nouveau depuis le message.",
    ],
    expired: [
        "Ce lien est trop ancien",
        "Les liens des messages fonctionnent environ un an. Veuillez chercher un message plus récent.",
    ],
    gone: [
        "Ce message ne peut pas être affiché",
        "La page d’un message n’existe que pour un temps, et pour la personne à qui il a été envoyé.",
    ],
    too_late: [
        "Il est trop tard pour annuler",
        "Veuillez demander à l’expéditeur du message de vous inscrire de nouveau.",
    ],
    moved: [
        "Il n’est plus possible d’annuler",
        "Quelque chose a changé depuis votre désabonnement. Veuillez demander à l’expéditeur du message de vous inscrire de nouveau.",
    ],
    trouble: ["Une erreur s’est produite", "Vous n’y êtes pour rien. Veuillez réessayer dans un instant."],
};

impl Texts {
    /// Those of this language.
    pub(crate) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }

    /// How this channel reaches people.
    pub(crate) const fn by(&self, channel: Channel) -> &'static str {
        match channel {
            Channel::Email => self.by[0],
            Channel::Sms => self.by[1],
            Channel::Push => self.by[2],
            Channel::Webhook => self.by[3],
        }
    }
}
