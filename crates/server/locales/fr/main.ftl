# Ce que les gens lisent. Phrases courtes, mots simples, pas de jargon.

brand = Countersign
skip-to-content = Aller au contenu
nav-account = Vos appareils
nav-code = Saisir un code
sign-out = Se déconnecter
signed-in-as = Compte connecté : { $name }

language-label = Langue
language-button = Changer

device-title = Connecter un appareil
device-lead = Saisissez le code affiché par votre appareil ou par votre ligne de commande.
device-label = Code
device-help = Les majuscules, les espaces et les tirets n’ont pas d’importance.
device-continue = Continuer
device-prefilled = Ce code a été saisi à votre place. Ne continuez que si le même code est affiché sur un appareil devant vous.
device-type-it = Pour cet appareil, un lien ne suffit pas. Saisissez le code affiché sur son écran.
device-wrong = Ce code est incorrect ou a expiré. Vérifiez l’écran de votre appareil, ou recommencez sur celui-ci.

login-title = Se connecter
login-lead = Pour connecter un appareil, connectez-vous d’abord vous-même.
login-again = Veuillez vous reconnecter pour continuer. Ce qui est demandé exige une connexion récente.
login-username = Nom d’utilisateur
login-password = Mot de passe
login-submit = Se connecter
login-wrong = Le nom d’utilisateur ou le mot de passe est incorrect.
login-signed-out = Votre compte est maintenant déconnecté de ce navigateur.

upstream-button = Se connecter avec { $provider }
upstream-cancelled = La connexion par l’autre service n’a pas eu lieu. Réessayez, ou choisissez un autre moyen.
upstream-wrong = La réponse de l’autre service n’a pas pu être utilisée. Réessayez.
upstream-not-allowed = Votre compte sur l’autre service ne peut pas être utilisé ici. Adressez-vous à la personne qui gère ce service-ci.
upstream-too-weak = Votre connexion à l’autre service n’est pas assez protégée pour être acceptée ici. Connectez-vous là-bas avec une deuxième étape de vérification, puis réessayez.
upstream-not-fresh = L’autre service ne vous a pas demandé qui vous êtes. Déconnectez-vous là-bas, puis réessayez.
upstream-unreachable = L’autre service ne répond pas en ce moment. Réessayez dans un instant, ou choisissez un autre moyen.
upstream-not-linked = L’ajout n’a pas été possible : ce compte est déjà rattaché à un compte ici, ou votre connexion, ici ou là-bas, était trop ancienne.

second-title = Encore une étape
second-text = Votre mot de passe est correct. Saisissez maintenant le code affiché par votre application d’authentification.
second-text-passkey = Votre mot de passe est correct. Il faut maintenant votre clé d’accès, ou un code.
second-label = Code
second-recovery = Si vous n’avez pas votre téléphone, un de vos codes de secours convient aussi.
second-submit = Se connecter
second-wrong = Ce code est incorrect, ou il a déjà été utilisé. Attendez le suivant, ou essayez un code de secours.

totp-title = Configurer une application d’authentification
totp-demanded = Ajoutez d’abord une deuxième étape de vérification à votre compte pour continuer.
totp-text = Scannez ceci avec une application d’authentification sur votre téléphone. Ensuite, vous vous connecterez avec votre mot de passe et le code affiché par l’application.
totp-qr = Code QR pour votre application d’authentification
totp-here = L’ouvrir dans une application sur cet appareil
totp-typed = Ou saisissez ceci dans l’application :
totp-label = Code affiché par l’application
totp-submit = Activer
totp-wrong = Ce code est incorrect. Votre téléphone est-il à l’heure ? Essayez le code suivant.

passkey-title = Ajouter une clé d’accès
passkey-text = Votre téléphone, votre ordinateur ou votre clé de sécurité conserve la clé d’accès. Vous la déverrouillez comme l’appareil lui-même. Avec elle, vous vous connectez sans votre mot de passe.
passkey-name = Nom à lui donner
passkey-name-default = Clé d’accès
passkey-submit = Ajouter une clé d’accès
passkey-failed = Votre navigateur n’a pas créé de clé d’accès. L’opération a-t-elle été annulée, ou y en a-t-il déjà une ?
passkey-wrong = La réponse de votre navigateur n’a pas pu être utilisée. Réessayez.
passkey-script = Les clés d’accès ont besoin de JavaScript, qui est désactivé ici.
passkey-login-title = Se connecter avec une clé d’accès
passkey-login-text = Votre navigateur demande la clé d’accès que vous avez ajoutée à votre compte.
passkey-login-submit = Utiliser une clé d’accès
passkey-login-failed = Votre navigateur n’a pas répondu. L’opération a-t-elle été annulée, ou n’y a-t-il pas de clé d’accès sur cet appareil ?
passkey-login-wrong = Cette clé d’accès n’est pas la bonne, ou elle a été supprimée. Connectez-vous d’une autre façon.
passkey-login-link = Se connecter avec une clé d’accès
passkey-login-password = Se connecter avec votre mot de passe

recovery-title = Vos codes de secours
recovery-text = Si vous perdez un jour ce qui vous sert à vous connecter, chacun de ces codes peut le remplacer une fois, après votre mot de passe. Imprimez-les, ou gardez-les là où vous gardez vos mots de passe.
recovery-once = Ils ne s’affichent que cette fois-ci. Les anciens ne fonctionnent plus.
recovery-go-on = Je les ai conservés

confirm-title = Connecter cet appareil ?
confirm-lead = { $client } demande à utiliser votre compte, { $name }.
confirm-pair-lead = L’appareil « { $device } » demande à être associé à votre compte, { $name }.
confirm-pair-device = Appareil
confirm-pair-version = Version
confirm-pair-id = Identifiant de l’appareil
confirm-pair-replaces = Il prend la place de votre appareil « { $device } », associé le { $day }, qui sera coupé de votre compte.
foreign-title = Vous ne pouvez pas associer cet appareil
foreign-text = Cet appareil appartient à un autre compte. Il faut d’abord l’en retirer. Rien n’a été modifié.
scope-operator-read = recevoir ce que vous lui envoyez, et voir ce que vous avez le droit d’y voir
confirm-key-lead = { $client } demande une clé API pour votre compte, { $name }.
confirm-key-lead-nobody = Une ligne de commande demande une clé API pour votre compte, { $name }.
confirm-key-name = Nom de la clé
confirm-key-lifetime = Durée
confirm-key-seconds = { $n ->
    [one] { $n } seconde, sauf si vous la révoquez avant
   *[other] { $n } secondes, sauf si vous la révoquez avant
}
confirm-key-minutes = { $n ->
    [one] { $n } minute, sauf si vous la révoquez avant
   *[other] { $n } minutes, sauf si vous la révoquez avant
}
confirm-key-hours = { $n ->
    [one] { $n } heure, sauf si vous la révoquez avant
   *[other] { $n } heures, sauf si vous la révoquez avant
}
confirm-key-days = { $n ->
    [one] { $n } jour, sauf si vous la révoquez avant
   *[other] { $n } jours, sauf si vous la révoquez avant
}
key-scopes-none = agir en votre nom, partout où les clés API de ce service sont acceptées
quoted = « { $name } »
command-line = La ligne de commande
confirm-code-label = Code sur l’appareil
confirm-code-help = Il doit être le même, lettre pour lettre.
confirm-scopes = Si vous approuvez, vous l’autorisez à :
confirm-asked = Demandé
confirm-from = Provenance
confirm-with = Programme
confirm-warning-link = Vous n’avez pas saisi ce code sur cette page. S’il est arrivé par un lien que quelqu’un vous a envoyé, refusez : c’est ainsi que l’on piège les gens. Aucun service d’assistance ne vous demandera jamais d’approuver un appareil.
confirm-warning = Quelqu’un vous a envoyé ce code ou ce lien ? Alors refusez. Aucun service d’assistance ne vous demandera jamais d’approuver un appareil.
confirm-hint = L’appareil a demandé le compte { $hint }, mais le compte connecté ici est { $name }.
confirm-hint-other = L’appareil a demandé un autre compte, mais le compte connecté ici est { $name }.
confirm-elsewhere = Cette demande vient d’un autre réseau que le vôtre. Réseau de la demande : { $there }. Votre réseau : { $here }. Si cet appareil n’est pas devant vous, refusez.
confirm-elsewhere-country = Cette demande vient d’un autre pays. Pays de la demande : { $there }. Pays où vous êtes : { $here }. Si cet appareil n’est pas devant vous, refusez.
elsewhere-title = Demande faite d’un autre endroit
elsewhere-text = Cette demande vient d’un autre endroit que le vôtre, et la personne qui gère ce service ne le permet pas. Rien n’a été connecté. Si l’appareil est devant vous, utilisez le même réseau pour lui et pour cette page.
confirm-own = C’est moi qui ai lancé cette demande, sur un appareil qui est devant moi
confirm-own-missing = Cochez la case si c’est vous qui avez lancé cette demande. Sinon, choisissez « Refuser ».
confirm-app-title = Connecter ce programme ?
confirm-returns = La réponse va à
confirm-returns-help = Vous y retournez dans ce navigateur.
confirm-app-own = J’ai lancé cela moi-même, dans ce navigateur
authorize-refused-title = Ce lien ne fonctionne pas
authorize-refused-client = Le programme qui vous a envoyé ici est inconnu, ou n’a pas le droit de demander ainsi. Rien n’a été connecté.
authorize-refused-redirect = Le programme veut recevoir la réponse à une adresse qui n’est pas enregistrée pour lui. Rien n’a été connecté.
authorize-refused-expired = Cette demande a expiré, ou a déjà reçu une réponse. Retournez au programme et recommencez là-bas.
confirm-approve = Approuver
confirm-deny = Refuser

scope-openid = savoir que c’est vous
scope-profile = voir votre nom
scope-email = voir votre adresse e-mail
scope-offline = garder la connexion jusqu’à ce que vous déconnectiez l’appareil
scope-introspect = vérifier si d’autres connexions sont encore valables
scope-admin = administrer ce serveur : tout voir et tout modifier
scope-devices = connecter et déconnecter des appareils et des clés API en votre nom
scope-other = utiliser « { $scope } »
scopes-none = seulement savoir que vous avez approuvé

age-now = à l’instant
age-seconds = { $n ->
    [one] il y a { $n } seconde
   *[other] il y a { $n } secondes
}
age-minutes = { $n ->
    [one] il y a { $n } minute
   *[other] il y a { $n } minutes
}
age-hours = { $n ->
    [one] il y a { $n } heure
   *[other] il y a { $n } heures
}
unknown = inconnu

approved-title = Appareil connecté
approved-text = { $client } fait maintenant partie des appareils connectés à votre compte. Vous pouvez retourner à l’appareil.
pin-title = Encore une étape sur l’appareil
pin-text = Vous avez approuvé { $client }. Saisissez maintenant ce code PIN sur l’appareil : la connexion ne se fait qu’à ce moment-là.
pin-label = Code PIN
pin-help = Deux chiffres, pour cet appareil uniquement.
pin-warning = Saisissez-le vous-même. Si quelqu’un vous le demande, ne le dites pas, et annulez l’approbation.
denied-title = Demande refusée
denied-text = La connexion n’a pas eu lieu : { $client } n’a rien obtenu.
undo-question = Ce n’était pas vous, ou c’était une erreur ?
undo-button = Ce n’était pas moi : annuler
undone-title = C’est annulé
undone-text = L’autorisation est retirée : tout ce qui en est issu est déconnecté et révoqué. Si quelqu’un vous a dit de la donner, prévenez la personne qui gère ce service.
undo-nothing-title = Rien à annuler
undo-nothing-text = Il n’y a ici aucune approbation de votre part à annuler.
late-title = Trop tard
late-text = Cette demande a expiré, ou quelqu’un y a déjà répondu. Rien n’a été modifié. Recommencez sur l’appareil.
lost-title = Saisissez de nouveau le code
lost-text = Cette page a été ouverte avant votre connexion. Veuillez saisir le code encore une fois.

revoke-title = Déconnecter cet appareil ?
revoke-lead = L’appareil « { $device } » est connecté au compte { $name }. Déconnectez-le si ce n’était pas vous.
revoke-button = Déconnecter
revoke-done-title = Appareil déconnecté
revoke-ended-title = Rien à déconnecter
revoke-ended-text = Ce lien a déjà servi, il a expiré, ou l’appareil n’est plus connecté. Vous trouverez vos appareils dans votre compte.

mail-subject = Nouvel appareil : { $device }
mail-hello = Bonjour { $name },
mail-connected = L’appareil « { $device } » a été connecté à votre compte.
mail-was-you = Si c’était vous, vous n’avez rien à faire.
mail-was-not-you = Sinon, ouvrez ce lien et déconnectez l’appareil :
mail-from = Ce message a été envoyé par { $server }.

account-title = Vos appareils
account-lead = Tout ce que vous avez connecté. Déconnectez ce que vous ne reconnaissez pas ou n’utilisez plus.
account-none = Rien n’est encore connecté.
account-connect = Connecter un appareil
account-connected = Connecté le
account-kind-key = Clé API
account-sign-in-title = Comment vous vous connectez
account-totp-off = Une clé d’accès ou une application d’authentification empêche les autres d’entrer, même s’ils trouvent votre mot de passe.
account-lately = Appareil connecté à votre compte le { $when }, depuis { $address } : { $client }.
undo-one = Ce n’était pas moi : déconnecter { $client }
account-sessions-title = Navigateurs connectés à votre compte
account-session-own = ce navigateur
account-session-since = Connecté le
account-session-end = Déconnecter
account-session-end-one = Déconnecter le navigateur connecté le { $when }
account-session-end-all = Déconnecter les autres navigateurs
account-session-ended = Le navigateur choisi est déconnecté.
account-sessions-ended = Tous les autres navigateurs sont déconnectés.
account-session-missing = Le navigateur choisi n’est plus connecté.
account-password-title = Changer votre mot de passe
account-password-new = Nouveau mot de passe
account-password-help = Au moins 8 caractères. Tous les autres navigateurs seront déconnectés.
account-password-button = Changer
account-password-changed = Votre mot de passe a été changé.
account-password-unfit = Un mot de passe compte au moins 8 caractères, et au plus 1 024 octets.
account-linked = Vous pouvez vous connecter avec { $provider }.
account-link = Se connecter aussi avec { $provider }
account-unlink = Supprimer
account-unlink-one = Ne plus se connecter avec { $provider }
account-unlinked = C’est supprimé. Vous ne vous connectez plus de cette façon.
account-unlink-last = Rien n’a été modifié : sans cela, vous ne pourriez plus vous connecter.
account-totp-begin = Configurer une application d’authentification
account-totp-on = Une application d’authentification est configurée depuis le { $when }.
account-recovery-left = { $n ->
    [0] Il ne reste aucun code de secours.
    [one] Il reste { $n } code de secours.
   *[other] Il reste { $n } codes de secours.
}
account-recovery-new = Créer de nouveaux codes de secours
account-totp-remove = Désactiver l’application
account-totp-removed = L’application d’authentification est désactivée.
account-passkey-begin = Ajouter une clé d’accès
account-kind-passkey = clé d’accès
account-passkey-added = Ajoutée le
account-passkey-remove = Supprimer
account-passkey-remove-one = Supprimer la clé d’accès { $name }
account-passkey-removed = La clé d’accès est supprimée. Vous pouvez aussi l’effacer de votre appareil.
account-rename = Renommer
account-renamed = L’appareil a été renommé.
account-online = en ligne
account-offline = hors ligne en ce moment
account-node = Appareil
account-endless = quand vous la déconnecterez
account-ends = Fin
account-leaked = La clé API « { $name } » a été trouvée là où elle ne devrait pas être, et a été révoquée le { $when }. Si un de vos programmes l’utilisait, connectez ce programme de nouveau.
account-cli-title = Connecter une ligne de commande
account-cli-text = Si la ligne de commande ne peut pas vous montrer de code, affichez-en un ici et saisissez-le là-bas.
account-cli-button = Afficher un code
account-never = aucune pour l’instant
account-key-title = Créer une clé API
account-key-text = Pour un programme que vous configurez à la main. La clé peut faire ce que vous pouvez faire, partout où les clés API de ce service sont acceptées.
account-key-name = Nom
account-key-name-wrong = Un nom compte de 1 à 100 caractères visibles.
account-key-button = Créer une clé
key-title = Votre nouvelle clé API
key-lead = La clé « { $name } » est valable jusqu’au { $when }. Elle ne s’affiche que cette fois-ci : copiez-la maintenant.
key-warning = Toute personne qui a cette clé peut agir en votre nom. Aucun service d’assistance ne vous la demandera jamais.
connect-title = Connecter une ligne de commande
connect-lead = Saisissez ceci dans votre ligne de commande :
connect-code = Code
connect-left = Le code ne peut servir qu’une fois. Il expire dans
connect-warning = Toute personne qui a ce code obtient une clé API pour votre compte. Saisissez-le vous-même, et ne le donnez à personne.
connect-check = Voir s’il a été utilisé
connect-withdraw = Annuler ce code
connect-used-title = Ligne de commande connectée
connect-used = Votre code a été utilisé le { $when }, depuis { $address }, avec { $program }.
connect-used-ended = Votre code a été utilisé. La clé ainsi obtenue n’est plus valable.
connect-over-title = Ce code n’est plus valable
connect-over = Plus personne ne peut l’utiliser.
account-used = Dernière utilisation
account-from = Provenance
account-may = Peut
account-revoke = Déconnecter
account-revoke-one = Déconnecter { $name }, date de connexion : { $when }
account-revoke-all = Tout déconnecter
account-revoke-all-text = Il faudra ensuite connecter de nouveau chacun de vos appareils.
account-revoked = L’appareil est déconnecté.
account-revoked-all = Tout est déconnecté.
account-revoke-missing = Cet appareil n’est plus connecté.
account-ended = Plus connectés
status-active = connecté
status-expired = expiré
status-revoked = déconnecté

logout-title = Se déconnecter ?
logout-text = Vos appareils restent connectés.

error-form-title = Cela n’a pas fonctionné
error-form-text = Le formulaire n’a pas pu être lu : { $why }.
error-forged-title = Veuillez réessayer
error-forged-text = Cette page est restée ouverte trop longtemps, vous venez de vous connecter sur une autre page, ou votre navigateur ne conserve pas les cookies. Revenez en arrière, rechargez la page et recommencez.
error-limited-title = Trop de tentatives
error-limited-text = { $n ->
    [one] Veuillez patienter { $n } seconde, puis réessayer.
   *[other] Veuillez patienter { $n } secondes, puis réessayer.
}
error-limited-minutes = { $n ->
    [one] Veuillez patienter { $n } minute, puis réessayer.
   *[other] Veuillez patienter { $n } minutes, puis réessayer.
}
error-busy-title = Beaucoup de monde
error-busy-text = Trop de personnes se connectent en ce moment. Veuillez réessayer dans un instant.
error-away-title = Un instant
error-away-text = Ce service n’a pas accès à ses données en ce moment. Veuillez réessayer dans un instant.
error-missing-title = Page introuvable
error-missing-text = Il n’y a rien ici. Si votre appareil affiche un code, choisissez « Saisir un code ».
error-fault-title = Une erreur s’est produite
error-fault-text = C’est notre faute, pas la vôtre. Veuillez réessayer. Si cela continue, donnez ce numéro à la personne qui gère ce service : { $id }
