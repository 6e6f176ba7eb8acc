# What people read. Short sentences, plain words, no jargon.

brand = Countersign
skip-to-content = Skip to content
nav-account = Your devices
nav-code = Enter a code
sign-out = Sign out
signed-in-as = Signed in as { $name }

language-label = Language
language-button = Change

device-title = Connect a device
device-lead = Type the code that your device or command line shows.
device-label = Code
device-help = Capital letters, spaces and dashes do not matter.
device-continue = Continue
device-prefilled = This code was filled in for you. Go on only if the same code stands on a device in front of you.
device-type-it = For this device, links do not work. Type the code that stands on its screen.
device-wrong = This code is not right or has expired. Check the screen of your device, or start again there.

login-title = Sign in
login-lead = Sign in to connect a device.
login-again = Please sign in again to go on. What was asked for needs a fresh sign-in.
login-username = User name
login-password = Password
login-submit = Sign in
login-wrong = The user name or the password is not right.
login-signed-out = You are signed out.

upstream-button = Sign in with { $provider }
upstream-cancelled = You were not signed in there. Try again, or choose another way.
upstream-wrong = What came back could not be used. Try again.
upstream-not-allowed = Your account there may not be used here. Ask whoever runs this service.
upstream-too-weak = You signed in there with less than is needed here. Sign in there with a second factor, then try again.
upstream-not-fresh = You were not asked there who you are. Sign out there, then try again.
upstream-unreachable = It cannot be reached right now. Try again in a moment, or choose another way.
upstream-not-linked = It could not be added: it belongs to an account already, or your sign-in here or there was too old.

second-title = One more step
second-text = Your password is right. Now the code that your authenticator app shows.
second-text-passkey = Your password is right. Now your passkey, or a code.
second-label = Code
second-recovery = Without your phone, one of your recovery codes will do.
second-submit = Sign in
second-wrong = This code is not right, or was used before. Wait for the next one, or try a recovery code.

totp-title = Set up an authenticator app
totp-demanded = Your account needs a second factor before you can go on.
totp-text = Scan this with an authenticator app on your phone. From then on you sign in with your password and the code that the app shows.
totp-qr = QR code for your authenticator app
totp-here = Open it in an app on this device
totp-typed = Or type this into the app:
totp-label = Code that the app shows
totp-submit = Turn it on
totp-wrong = This code is not right. Is the clock of your phone right? Try the next one.

passkey-title = Add a passkey
passkey-text = Your phone, computer or security key keeps it, and unlocks it as it unlocks itself. With it you sign in without your password.
passkey-name = What to call it
passkey-name-default = Passkey
passkey-submit = Add a passkey
passkey-failed = Your browser did not make one. Was it cancelled, or is there one already?
passkey-wrong = What your browser sent could not be used. Try it again.
passkey-script = Passkeys need JavaScript, which is switched off here.
passkey-login-title = Sign in with a passkey
passkey-login-text = Your browser asks for the passkey that you added to your account.
passkey-login-submit = Use a passkey
passkey-login-failed = Your browser did not answer. Was it cancelled, or is there no passkey on this device?
passkey-login-wrong = This passkey is not right, or was removed. Sign in another way.
passkey-login-link = Sign in with a passkey
passkey-login-password = Sign in with your password

recovery-title = Your recovery codes
recovery-text = If you ever lose what you sign in with, each of these does it once, after your password. Print them, or keep them where you keep passwords.
recovery-once = They are shown this once. Older ones do not work any more.
recovery-go-on = I have kept them

confirm-title = Connect this device?
confirm-lead = { $client } wants to use your account, { $name }.
confirm-pair-lead = “{ $device }” wants to be paired with your account, { $name }.
confirm-pair-device = Device
confirm-pair-version = Version
confirm-pair-id = Device id
confirm-pair-replaces = It takes the place of your device “{ $device }”, paired { $day }, which will be cut off.
foreign-title = Not yours to pair
foreign-text = This device belongs to another account. It must be removed there first. Nothing was changed.
scope-operator-read = receive what you send to it, and see what you may see there
confirm-key-lead = { $client } wants an API key for your account, { $name }.
confirm-key-lead-nobody = A command line wants an API key for your account, { $name }.
confirm-key-name = Key name
confirm-key-lifetime = Lasts
confirm-key-seconds = { $n } seconds, unless you revoke it
confirm-key-minutes = { $n } minutes, unless you revoke it
confirm-key-hours = { $n } hours, unless you revoke it
confirm-key-days = { $n ->
    [one] { $n } day, unless you revoke it
   *[other] { $n } days, unless you revoke it
}
key-scopes-none = act in your name, wherever API keys of this service are accepted
quoted = “{ $name }”
command-line = The command line
confirm-code-label = Code on the device
confirm-code-help = It must be the same, letter for letter.
confirm-scopes = If you approve, it may:
confirm-asked = Asked
confirm-from = From
confirm-with = Program
confirm-warning-link = You did not type this code on this page. If it came by a link that somebody sent you, deny: this is how people are tricked. Nobody from support will ever ask you to approve a device.
confirm-warning = Did somebody send you this code or this link? Then deny. Nobody from support will ever ask you to approve a device.
confirm-hint = The device asked for the account { $hint }, but you are signed in as { $name }.
confirm-hint-other = The device asked for another account, but you are signed in as { $name }.
confirm-elsewhere = This was asked for from another network than yours: from { $there }, and you are at { $here }. If that device is not in front of you, deny.
confirm-elsewhere-country = This was asked for from { $there }, and you are in { $here }. If that device is not in front of you, deny.
elsewhere-title = Asked for from elsewhere
elsewhere-text = This was asked for from another place than yours, and the operator of this service does not allow that. Nothing was connected. If the device is in front of you, use the same network for both.
confirm-own = I started this myself, on a device in front of me
confirm-own-missing = Tick the box if you started this yourself. If you did not, choose Deny.
confirm-app-title = Connect this program?
confirm-returns = Answer goes to
confirm-returns-help = You go back there in this browser.
confirm-app-own = I started this myself, in this browser
authorize-refused-title = This link does not work
authorize-refused-client = The program that sent you here is not known, or may not ask in this way. Nothing was connected.
authorize-refused-redirect = The program wants the answer sent to an address that is not registered for it. Nothing was connected.
authorize-refused-expired = This request has expired, or was answered already. Go back to the program and start again there.
confirm-approve = Approve
confirm-deny = Deny

scope-openid = know that it is you
scope-profile = see your name
scope-email = see your e-mail address
scope-offline = stay connected until you disconnect it
scope-introspect = check whether other connections are still valid
scope-admin = administer this server: see and change everything
scope-devices = connect and disconnect devices and API keys in your name
scope-other = use “{ $scope }”
scopes-none = only know that you approved

age-now = just now
age-seconds = { $n ->
    [one] { $n } second ago
   *[other] { $n } seconds ago
}
age-minutes = { $n ->
    [one] { $n } minute ago
   *[other] { $n } minutes ago
}
age-hours = { $n ->
    [one] { $n } hour ago
   *[other] { $n } hours ago
}
unknown = unknown

approved-title = Device connected
approved-text = { $client } is connected to your account. You can go back to the device.
pin-title = One more step on the device
pin-text = You approved { $client }. Now type this PIN on the device: only then is it connected.
pin-label = PIN
pin-help = Two digits, for this device alone.
pin-warning = Type it yourself. If somebody asks you for it, do not say it, and undo this.
denied-title = Request denied
denied-text = { $client } was not connected. It got nothing.
undo-question = Was that not you, or a mistake?
undo-button = This wasn’t me: undo it
undone-title = Undone
undone-text = It is taken back: whatever came of it is disconnected and revoked. If somebody talked you into this, tell whoever runs this service.
undo-nothing-title = Nothing to undo
undo-nothing-text = There is no approval of yours to undo here.
late-title = Too late
late-text = This request has expired, or somebody has decided it already. Nothing was changed. Start again on the device.
lost-title = Enter the code again
lost-text = This page was opened before you signed in. Please enter the code once more.

revoke-title = Disconnect this device?
revoke-lead = “{ $device }” is connected to the account { $name }. Disconnect it if that was not you.
revoke-button = Disconnect it
revoke-done-title = Disconnected
revoke-ended-title = Nothing to disconnect
revoke-ended-text = This link was used, its time is over, or the device is not connected any more. Your devices stand in your account.

mail-subject = New device: { $device }
mail-hello = Hello { $name },
mail-connected = “{ $device }” was connected to your account.
mail-was-you = If that was you, there is nothing to do.
mail-was-not-you = If not, open this link and disconnect it:
mail-from = This was sent by { $server }.

account-title = Your devices
account-lead = Everything that you have connected. Disconnect what you do not know or no longer use.
account-none = Nothing is connected yet.
account-connect = Connect a device
account-connected = Connected
account-kind-key = API key
account-sign-in-title = How you sign in
account-totp-off = A passkey or an authenticator app keeps others out even if they find your password.
account-lately = { $client } was connected to your account on { $when }, from { $address }.
undo-one = This wasn’t me: disconnect { $client }
account-sessions-title = Where you are signed in
account-session-own = this browser
account-session-since = Signed in
account-session-end = Sign out there
account-session-end-one = Sign out the browser that signed in on { $when }
account-session-end-all = Sign out everywhere else
account-session-ended = That browser is signed out.
account-sessions-ended = Every other browser is signed out.
account-session-missing = That browser is not signed in any more.
account-password-title = Change your password
account-password-new = New password
account-password-help = At least 8 characters. Every other browser is signed out.
account-password-button = Change it
account-password-changed = Your password is changed.
account-password-unfit = A password has at least 8 characters, and at most 1,024 bytes.
account-linked = You can sign in with { $provider }.
account-link = Also sign in with { $provider }
account-unlink = Remove
account-unlink-one = Do not sign in with { $provider } any more
account-unlinked = It is removed. You do not sign in with it any more.
account-unlink-last = Nothing was changed: without it, you could not sign in any more.
account-totp-begin = Set up an authenticator app
account-totp-on = There is an authenticator app since { $when }.
account-recovery-left = { $n ->
    [0] No recovery code is left.
    [one] { $n } recovery code is left.
   *[other] { $n } recovery codes are left.
}
account-recovery-new = Make new recovery codes
account-totp-remove = Turn the app off
account-totp-removed = The authenticator app is off.
account-passkey-begin = Add a passkey
account-kind-passkey = passkey
account-passkey-added = Added
account-passkey-remove = Remove
account-passkey-remove-one = Remove the passkey { $name }
account-passkey-removed = The passkey is removed. You can delete it on your device as well.
account-rename = Rename
account-renamed = The new name is saved.
account-online = online
account-offline = not connected now
account-node = Device
account-endless = when you disconnect it
account-ends = Ends
account-leaked = { $name } was found where it should not be, and was revoked on { $when }. If a program of yours used it, connect that program anew.
account-cli-title = Connect a command line
account-cli-text = Have a code shown here and type it there, if the command line cannot show you one.
account-cli-button = Show a code
account-never = not yet
account-key-title = Make an API key
account-key-text = For a program that you set up by hand. It can do what you can, wherever API keys of this service are accepted.
account-key-name = Name
account-key-name-wrong = A name has 1 to 100 visible characters.
account-key-button = Make a key
key-title = Your new API key
key-lead = “{ $name }” is good until { $when }. It is shown this once: copy it now.
key-warning = Whoever has this key can act in your name. Nobody from support will ever ask you for it.
connect-title = Connect a command line
connect-lead = Type this into your command line:
connect-code = Code
connect-left = The code can be used once. It ends in
connect-warning = Whoever has this code gets an API key for your account. Type it yourself, and do not give it to anybody.
connect-check = See whether it was used
connect-withdraw = Withdraw this code
connect-used-title = Command line connected
connect-used = Your code was used on { $when }, from { $address }, with { $program }.
connect-used-ended = Your code was used. The key that came of it has ended since.
connect-over-title = This code has ended
connect-over = Nobody can use it any more.
account-used = Last used
account-from = From
account-may = It may
account-revoke = Disconnect
account-revoke-one = Disconnect { $name }, connected { $when }
account-revoke-all = Disconnect everything
account-revoke-all-text = Each of your devices must then be connected anew.
account-revoked = The device is disconnected.
account-revoked-all = Everything is disconnected.
account-revoke-missing = This device is not connected any more.
account-ended = No longer connected
status-active = connected
status-expired = expired
status-revoked = disconnected

logout-title = Sign out?
logout-text = Your devices stay connected.

error-form-title = That did not work
error-form-text = The form could not be read: { $why }.
error-forged-title = Please try again
error-forged-text = This page was open for too long, you signed in on another page meanwhile, or your browser does not keep cookies. Go back, load the page again, and repeat what you did.
error-limited-title = Too many attempts
error-limited-text = { $n ->
    [one] Please wait { $n } second, then try again.
   *[other] Please wait { $n } seconds, then try again.
}
error-limited-minutes = { $n ->
    [one] Please wait { $n } minute, then try again.
   *[other] Please wait { $n } minutes, then try again.
}
error-busy-title = Very busy
error-busy-text = Too many people are signing in right now. Please try again in a moment.
error-away-title = One moment
error-away-text = This service cannot reach its data right now. Please try again in a moment.
error-missing-title = Page not found
error-missing-text = There is nothing here. If your device shows a code, choose “Enter a code”.
error-fault-title = Something went wrong
error-fault-text = That is our fault, not yours. Please try again. If it stays, tell whoever runs this service this number: { $id }
